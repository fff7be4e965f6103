// The denoiser against its definition written out, cut in any way, and its part of the C ABI.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "dsp/denoiser.h"
#include "pyvoc/pyvoc.hpp"

namespace pyvoc::dsp {
namespace {

constexpr double kPi = 3.14159265358979323846;

std::vector<float> noise(std::size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> value(-0.5f, 0.5f);
  std::vector<float> x(n);
  for (float& v : x) v = value(random);
  return x;
}

std::vector<float> run(Denoiser& d, const std::vector<float>& x,
                       const std::vector<std::size_t>& chunks) {
  std::vector<float> out(x.size());
  std::size_t at = 0, written = 0, turn = 0;
  while (at < x.size()) {
    const std::size_t take = std::min(chunks[turn++ % chunks.size()], x.size() - at);
    if (take == 0) continue;
    const std::size_t due = d.samples_after(take);
    EXPECT_EQ(d.push({x.data() + at, take}, out.data() + written), due);
    at += take;
    written += due;
    EXPECT_LE(written, at);
    EXPECT_LE(at - written, d.latency_samples()) << "after " << at;
  }
  const std::size_t due = d.samples_after(0);
  EXPECT_EQ(written + due, x.size());
  EXPECT_EQ(d.flush(out.data() + written), due);
  return out;
}

// The definition, term by term.
std::vector<double> expected(const std::vector<float>& x, const std::vector<float>& bias,
                             const DenoiserSettings& s) {
  const auto n = static_cast<std::ptrdiff_t>(x.size());
  const std::size_t fft = s.fft_length;
  std::vector<double> sum(x.size()), weight(x.size()), window(fft);
  for (std::size_t i = 0; i < fft; ++i) {
    window[i] = std::pow(std::sin(kPi * static_cast<double>(i) / static_cast<double>(fft)), 2);
  }
  for (std::size_t frame = 0; frame <= x.size() / s.hop_length; ++frame) {
    const auto start =
        static_cast<std::ptrdiff_t>(frame * s.hop_length) - static_cast<std::ptrdiff_t>(fft / 2);
    std::vector<std::complex<double>> spectrum(fft);
    for (std::size_t k = 0; k < fft; ++k) {
      for (std::size_t i = 0; i < fft; ++i) {
        std::ptrdiff_t at = start + static_cast<std::ptrdiff_t>(i);
        while (at < 0 || at >= n) at = n == 1 ? 0 : at < 0 ? -at : 2 * (n - 1) - at;
        const double angle =
            -2.0 * kPi * static_cast<double>(i * k % fft) / static_cast<double>(fft);
        spectrum[k] += static_cast<double>(x[static_cast<std::size_t>(at)]) * window[i] *
                       std::polar(1.0, angle);
      }
      const double magnitude = std::abs(spectrum[k]);
      const double hum = static_cast<double>(s.strength) * bias[std::min(k, fft - k)];
      spectrum[k] = std::polar(std::max(magnitude - hum, 0.0), std::arg(spectrum[k]));
    }
    for (std::size_t i = 0; i < fft; ++i) {
      const std::ptrdiff_t at = start + static_cast<std::ptrdiff_t>(i);
      if (at < 0 || at >= n) continue;
      std::complex<double> value = 0.0;
      for (std::size_t k = 0; k < fft; ++k) {
        const double angle =
            2.0 * kPi * static_cast<double>(i * k % fft) / static_cast<double>(fft);
        value += spectrum[k] * std::polar(1.0, angle);
      }
      sum[static_cast<std::size_t>(at)] += value.real() / static_cast<double>(fft) * window[i];
      weight[static_cast<std::size_t>(at)] += window[i] * window[i];
    }
  }
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] /= weight[i];
  return sum;
}

TEST(Denoiser, AgreesWithItsDefinition) {
  struct Case {
    std::size_t fft, hop, samples;
  };
  for (const Case& c :
       {Case{16, 4, 1}, Case{16, 4, 2}, Case{16, 4, 9}, Case{16, 3, 50}, Case{32, 8, 32},
        Case{32, 1, 40}, Case{64, 16, 201}, Case{64, 13, 200}, Case{128, 32, 97}}) {
    for (float strength : {0.0f, 0.1f, 1.0f}) {
      DenoiserSettings s{c.fft, c.hop, strength};
      ASSERT_EQ(denoiser_problems(s), "");
      std::vector<float> bias = noise(c.fft / 2 + 1, 4);
      for (float& b : bias) b = 4.0f * std::fabs(b);
      const std::vector<float> x = noise(c.samples, static_cast<unsigned>(c.fft + c.samples));
      Denoiser d(s, bias);
      const std::vector<float> found = run(d, x, {c.samples});
      const std::vector<double> wanted = expected(x, bias, s);
      for (std::size_t i = 0; i < x.size(); ++i) {
        ASSERT_NEAR(found[i], wanted[i], 1e-7)
            << c.fft << "/" << c.hop << ", " << c.samples << " samples, sample " << i;
      }
    }
  }
}

TEST(Denoiser, ChunksDoNotMatter) {
  const DenoiserSettings settings;
  const std::vector<float> bias(513, 2.0f);
  Denoiser d(settings, bias);
  for (std::size_t n : {0u, 1u, 255u, 512u, 513u, 1024u, 1025u, 30001u}) {
    const std::vector<float> x = noise(n, 3);
    d.reset();
    const std::vector<float> whole = run(d, x, {n});
    for (const auto& chunks : std::vector<std::vector<std::size_t>>{
             {1}, {7}, {255}, {256}, {257}, {1, 639, 641}, {5000, 3}, {8191}}) {
      d.reset();
      const std::vector<float> parts = run(d, x, chunks);
      ASSERT_EQ(parts.size(), whole.size());
      if (whole.empty()) continue;
      EXPECT_EQ(std::memcmp(parts.data(), whole.data(), whole.size() * sizeof(float)), 0)
          << n << " samples, first chunk " << chunks[0];
    }
  }
}

TEST(Denoiser, LagsWholeHopsByThreeOfThem) {
  const std::vector<float> bias(513);
  Denoiser d(DenoiserSettings(), bias);
  std::vector<float> x = noise(256, 1), out(256);
  std::size_t written = 0;
  for (std::size_t hop = 1; hop < 20; ++hop) {
    written += d.push(x, out.data());
    EXPECT_EQ(256 * hop - written, std::min<std::size_t>(256 * hop, 768));
  }
}

TEST(Denoiser, TakesAHumAwayAndLeavesSpeech) {
  const std::size_t n = 8193;  // whole periods: mirrored, it goes on as it was
  std::vector<float> hum(n), mixed(n), speech = noise(n, 6);
  for (std::size_t i = 0; i < n; ++i) {
    hum[i] =
        0.25f * static_cast<float>(std::cos(2.0 * kPi * 100.0 * static_cast<double>(i) / 1024.0));
    speech[i] *= 0.01f;
    mixed[i] = hum[i] + speech[i];
  }
  const std::vector<float> bias = hum_magnitudes({hum.data(), hum.size()}, 1024);
  Denoiser d({1024, 256, 1.0f}, bias);
  const auto level = [](const std::vector<float>& a) {
    double sum = 0.0;
    for (float v : a) sum += static_cast<double>(v) * static_cast<double>(v);
    return std::sqrt(sum / static_cast<double>(a.size()));
  };
  EXPECT_LT(level(run(d, hum, {n})), 1e-6);
  d.reset();
  std::vector<float> rest = run(d, mixed, {100});
  EXPECT_NEAR(level(rest), level(speech), 0.1 * level(speech));
  for (std::size_t i = 0; i < n; ++i) rest[i] -= speech[i];
  EXPECT_LT(level(rest), 0.2 * level(speech));
}

TEST(Denoiser, ImpossibleSettingsAreNamed) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const DenoiserSettings& s :
       {DenoiserSettings{1000, 250, 0.1f}, DenoiserSettings{8, 2, 0.1f},
        DenoiserSettings{32768, 256, 0.1f}, DenoiserSettings{0, 0, 0.1f},
        DenoiserSettings{1024, 0, 0.1f}, DenoiserSettings{1024, 257, 0.1f},
        DenoiserSettings{1024, 256, -0.1f}, DenoiserSettings{1024, 256, 1.01f},
        DenoiserSettings{1024, 256, nan}}) {
    EXPECT_NE(denoiser_problems(s), "");
  }
  EXPECT_EQ(denoiser_problems(DenoiserSettings()), "");
}

// ---- the C ABI ----------------------------------------------------------------------------------

TEST(DenoiserAbi, RefusesWhatItCannotUse) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> bias(513, 1.0f), x(1024, 0.25f), out(1024);
  pyvoc_denoiser* none = nullptr;
  pyvoc_denoiser_options options = PYVOC_DENOISER_OPTIONS_INIT;
  EXPECT_EQ(pyvoc_denoiser_open(nullptr, 513, &options, &none), PYVOC_ERROR_ARGUMENT);
  EXPECT_EQ(pyvoc_denoiser_open(bias.data(), 513, &options, nullptr), PYVOC_ERROR_ARGUMENT);
  for (std::size_t bins : {0u, 1u, 8u, 512u}) {
    EXPECT_EQ(pyvoc_denoiser_open(bias.data(), bins, &options, &none), PYVOC_ERROR_ARGUMENT);
    EXPECT_EQ(pyvoc_denoiser_bias(x.data(), x.size(), out.data(), bins), PYVOC_ERROR_ARGUMENT);
  }
  EXPECT_EQ(pyvoc_denoiser_bias(x.data(), std::size_t{0} - 1, out.data(), std::size_t{0} - 1),
            PYVOC_ERROR_ARGUMENT);
  for (float strength : {-0.1f, 1.1f, nan, std::numeric_limits<float>::infinity()}) {
    options.strength = strength;
    EXPECT_EQ(pyvoc_denoiser_open(bias.data(), 513, &options, &none), PYVOC_ERROR_ARGUMENT);
    EXPECT_NE(std::string(pyvoc_last_error()).find("strength"), std::string::npos);
  }
  options = PYVOC_DENOISER_OPTIONS_INIT;
  options.hop_length = 257;
  EXPECT_EQ(pyvoc_denoiser_open(bias.data(), 513, &options, &none), PYVOC_ERROR_ARGUMENT);
  options = PYVOC_DENOISER_OPTIONS_INIT;
  options.struct_size = 0;
  EXPECT_EQ(pyvoc_denoiser_open(bias.data(), 513, &options, &none), PYVOC_ERROR_ARGUMENT);
  for (float magnitude : {nan, -1.0f, std::numeric_limits<float>::infinity(), 1e6f}) {
    bias[7] = magnitude;
    EXPECT_EQ(pyvoc_denoiser_open(bias.data(), 513, nullptr, &none), PYVOC_ERROR_ARGUMENT);
    EXPECT_NE(std::string(pyvoc_last_error()).find("magnitude 7"), std::string::npos);
  }
  bias[7] = 1.0f;
  EXPECT_EQ(pyvoc_denoiser_bias(x.data(), 512, out.data(), 513), PYVOC_ERROR_AUDIO);
  x[3] = nan;
  EXPECT_EQ(pyvoc_denoiser_bias(x.data(), x.size(), out.data(), 513), PYVOC_ERROR_AUDIO);
  EXPECT_EQ(none, nullptr);
  pyvoc_denoiser_close(nullptr);
  EXPECT_EQ(pyvoc_denoiser_latency_samples(nullptr), 0u);
  EXPECT_EQ(pyvoc_denoiser_samples_after(nullptr, 5), 0u);
}

TEST(DenoiserAbi, RefusedSamplesLeaveItAsItWas) {
  const std::vector<float> x = noise(3000, 2), hum = noise(600, 5);
  std::vector<float> whole(3000), parts(3000), bad(3000);
  pyvoc::Denoiser d(pyvoc::denoiser_bias(hum.data(), hum.size()), 0.5f);
  EXPECT_EQ(d.latency_samples(), 1023u);
  std::size_t n = d.push(x.data(), x.size(), whole.data(), whole.size());
  n += d.flush(whole.data() + n, whole.size() - n);
  ASSERT_EQ(n, x.size());
  d.reset();
  std::size_t some = 77;
  bad[2999] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(d.try_push(bad.data(), 3000, parts.data(), 3000, &some), PYVOC_ERROR_AUDIO);
  bad[2999] = 200.0f;
  EXPECT_EQ(d.try_push(bad.data(), 3000, parts.data(), 3000, &some), PYVOC_ERROR_AUDIO);
  EXPECT_EQ(d.try_push(x.data(), 3000, parts.data(), d.samples_after(3000) - 1, &some),
            PYVOC_ERROR_ARGUMENT);
  EXPECT_EQ(d.try_push(nullptr, 1, parts.data(), 3000, &some), PYVOC_ERROR_ARGUMENT);
  EXPECT_EQ(some, 77u);
  EXPECT_EQ(d.try_push(nullptr, 0, nullptr, 0, &some), PYVOC_OK);
  EXPECT_EQ(some, 0u);
  n = d.push(x.data(), x.size(), parts.data(), d.samples_after(3000));
  EXPECT_EQ(d.try_flush(parts.data() + n, 3000 - n - 1, &some), PYVOC_ERROR_ARGUMENT);
  d.flush(parts.data() + n, 3000 - n);
  EXPECT_EQ(d.try_flush(parts.data(), 3000, &some), PYVOC_ERROR_STATE);
  EXPECT_EQ(d.try_push(x.data(), 1, parts.data(), 3000, &some), PYVOC_ERROR_STATE);
  EXPECT_EQ(parts, whole);
}

}  // namespace
}  // namespace pyvoc::dsp
