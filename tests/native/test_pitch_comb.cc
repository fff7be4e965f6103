// The comb at the pitch: what it takes away, what it leaves, and that every tier agrees.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "dsp/pitch_comb.h"
#include "kernels/resolve.h"

namespace pyvoc::testing {
namespace {

constexpr double kPi = 3.14159265358979323846;

using Signal = std::vector<float>;

const kernels::KernelTable& best() { return *kernels::active_table().value(); }

Signal combed(Signal x, float strength, int rate, int block,
              const kernels::KernelTable& kernels = best()) {
  dsp::PitchComb comb(strength, rate, block, kernels);
  for (std::size_t at = 0; at < x.size(); at += static_cast<std::size_t>(block)) {
    comb.run(x.data() + at, static_cast<int>(std::min(x.size() - at, std::size_t(block))));
  }
  return x;
}

// Twelve harmonics of a pitch that glides.
Signal vowel(int rate, double hertz, double glide, int n) {
  Signal x(static_cast<std::size_t>(n));
  double phase = 0.0;
  for (int i = 0; i < n; ++i) {
    phase += 2.0 * kPi * (hertz + glide * i / n) / rate;
    double sum = 0.0;
    for (int k = 1; k <= 12; ++k) sum += std::cos(k * phase + k * k) / (1 + 0.3 * k);
    x[static_cast<std::size_t>(i)] = static_cast<float>(0.05 * sum);
  }
  return x;
}

Signal noise(int n, float level) {
  std::mt19937 generator(7);
  std::normal_distribution<float> normal;
  Signal x(static_cast<std::size_t>(n));
  for (float& value : x) value = level * normal(generator);
  return x;
}

double power(const Signal& x) {
  double sum = 0.0;
  for (std::size_t i = x.size() / 10; i < x.size(); ++i) sum += double{x[i]} * x[i];
  return sum;
}

Signal less(Signal a, const Signal& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] -= b[i];
  return a;
}

double decibels(double ratio) { return 10.0 * std::log10(ratio); }

TEST(PitchComb, LessNoiseAndTheSameVoice) {
  struct Voice {
    int rate, block;
    double hertz, glide;
  };
  for (const Voice& v :
       {Voice{16000, 160, 100, 0}, Voice{16000, 160, 205.3, 5}, Voice{22050, 256, 180.7, -5},
        Voice{24000, 300, 92, 1}, Voice{8000, 80, 130, 0}, Voice{48000, 480, 333, 3}}) {
    const Signal clean = vowel(v.rate, v.hertz, v.glide, 2 * v.rate);
    const Signal out = combed(clean, 1.0f, v.rate, v.block);
    EXPECT_LT(decibels(power(less(out, clean)) / power(clean)), -18.0) << v.rate;
    Signal noisy = noise(2 * v.rate, 0.02f);
    const double before = power(noisy);
    for (std::size_t i = 0; i < noisy.size(); ++i) noisy[i] += clean[i];
    const Signal heard = combed(noisy, 1.0f, v.rate, v.block);
    // Half of the noise below the comb's limit; what the clean voice loses is not noise.
    const double after = power(less(heard, out));
    EXPECT_LT(decibels(after / before), v.rate <= 16000 ? -1.4 : -0.6) << v.rate;
  }
}

TEST(PitchComb, WhatDoesNotRepeatIsLeft) {
  const Signal x = noise(16000, 0.1f);
  EXPECT_LT(decibels(power(less(combed(x, 1.0f, 16000, 160), x)) / power(x)), -20.0);
  EXPECT_EQ(combed(x, 0.0f, 16000, 160), x);
  const Signal silence(4000, 0.0f);
  EXPECT_EQ(combed(silence, 1.0f, 16000, 160), silence);
}

TEST(PitchComb, StaysWithinFullScale) {
  Signal x = vowel(16000, 120, 0, 16000);
  for (float& value : x) value = value > 0.0f ? 1.0f : -1.0f;
  for (const float value : combed(x, 1.0f, 16000, 160)) EXPECT_LE(std::fabs(value), 1.0f);
}

TEST(PitchComb, BeginsAnew) {
  const Signal x = vowel(16000, 150, 20, 8000);
  dsp::PitchComb comb(0.6f, 16000, 160, best());
  const auto run = [&] {
    Signal y = x;
    for (std::size_t at = 0; at < y.size(); at += 160) comb.run(y.data() + at, 160);
    return y;
  };
  const Signal first = run();
  EXPECT_NE(run(), first);
  comb.reset();
  EXPECT_EQ(run(), first);
}

TEST(PitchComb, EveryTierGivesTheSameBits) {
  Signal x = vowel(16000, 140, 15, 16000);
  const Signal hiss = noise(16000, 0.02f);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] += hiss[i];
  const Signal wanted = combed(x, 0.6f, 16000, 160);
  for (const kernels::Tier& tier : kernels::tiers()) {
    if (!tier.supported) continue;
    const kernels::KernelTable* table = kernels::table_for(tier.name).value();
    EXPECT_EQ(combed(x, 0.6f, 16000, 160, *table), wanted) << tier.name;
  }
}

}  // namespace
}  // namespace pyvoc::testing
