#include "dsp/denoiser.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "base/counts.h"
#include "dsp/window.h"

namespace pyvoc::dsp {
namespace {

constexpr std::size_t kMinFft = 16, kMaxFft = 1 << 14;
// Squared windows then add up to at least 1/4 everywhere, also in the last hop, which not every
// frame of the middle reaches: the division does not blow up what the subtraction left there.
constexpr std::size_t kMinOverlap = 4;

std::int64_t half(const DenoiserSettings& settings) {
  return static_cast<std::int64_t>(settings.fft_length / 2);
}

}  // namespace

std::string denoiser_problems(const DenoiserSettings& s) {
  std::string problems;
  const auto add = [&problems](const std::string& sentence) {
    problems += (problems.empty() ? "" : "; ") + sentence;
  };
  if (s.fft_length < kMinFft || s.fft_length > kMaxFft ||
      (s.fft_length & (s.fft_length - 1)) != 0) {
    add("the transform has " + std::to_string(s.fft_length) +
        " points, expected a power of two from 16 to 16384");
  } else if (s.hop_length < 1 || s.hop_length > s.fft_length / kMinOverlap) {
    add("the hop is " + std::to_string(s.hop_length) + ", expected 1 to " +
        std::to_string(s.fft_length / kMinOverlap) + ", a quarter of the transform");
  }
  if (!(s.strength >= 0.0f && s.strength <= 1.0f)) {  // NaN too
    add("the strength is " + std::to_string(s.strength) + ", expected 0 to 1");
  }
  return problems;
}

std::vector<float> hum_magnitudes(Span<const float> hum, std::size_t fft_length) {
  const std::size_t reach = fft_length / 2;
  Framer framer(fft_length, fft_length / kMinOverlap, static_cast<std::int64_t>(reach), true,
                fft_length);
  framer.add(hum);  // all that the first frame needs: there is room for twice its length
  const float* frame = framer.frame(0);
  const std::vector<double> window = hann_window(fft_length);
  std::vector<double> input(fft_length), power(reach + 1);
  for (std::size_t i = 0; i < fft_length; ++i) input[i] = frame[i] * window[i];
  RealFft(fft_length).power(input.data(), power.data());
  std::vector<float> magnitudes(power.size());
  for (std::size_t k = 0; k < power.size(); ++k) {
    magnitudes[k] = static_cast<float>(std::sqrt(power[k]));
  }
  return magnitudes;
}

Denoiser::Denoiser(const DenoiserSettings& settings, Span<const float> bias)
    : settings_(settings),
      fft_(settings.fft_length),
      framer_(settings.fft_length, settings.hop_length, half(settings), true,
              settings.fft_length + settings.hop_length),
      window_(hann_window(settings.fft_length)),
      input_(settings.fft_length),
      bias_(bias.begin(), bias.end()),
      re_(fft_.bins()),
      im_(fft_.bins()),
      sum_(settings.fft_length),
      weight_(settings.fft_length) {
  for (double& magnitude : bias_) magnitude *= static_cast<double>(settings.strength);
}

std::uint64_t Denoiser::done(std::uint64_t frames) const PYVOC_RT {
  // The next frame begins half a window before its centre.
  const std::uint64_t reached = frames * settings_.hop_length, lead = settings_.fft_length / 2;
  return reached > lead ? reached - lead : 0;
}

std::size_t Denoiser::samples_after(std::size_t n) const PYVOC_RT {
  const std::uint64_t total = add_counts(framer_.size(), n);
  const std::uint64_t out = n == 0 ? total : done(framer_.complete(total));
  return out > written_ ? static_cast<std::size_t>(out - written_) : 0;
}

std::size_t Denoiser::push(Span<const float> pcm, float* out) PYVOC_RT {
  std::size_t written = 0;
  for (std::size_t at = 0; at < pcm.size();) {
    at += framer_.add(pcm.subspan(at, pcm.size() - at));
    for (const std::uint64_t all = framer_.complete(framer_.size()); frames_ < all;) {
      written += next_frame(out + written);
    }
  }
  return written;
}

std::size_t Denoiser::flush(float* out) PYVOC_RT {
  const std::uint64_t total = framer_.size();
  if (total == 0) return 0;
  std::size_t written = 0;
  // The last frame is centred in the last, perhaps incomplete hop.
  for (const std::uint64_t all = total / settings_.hop_length + 1; frames_ < all;) {
    written += next_frame(out + written);
  }
  const auto rest = static_cast<std::size_t>(total - written_);
  const std::uint64_t begins = frames_ * settings_.hop_length;  // the next frame, half a window on
  write(static_cast<std::size_t>(written_ + settings_.fft_length / 2 - begins), rest,
        out + written);
  return written + rest;
}

void Denoiser::reset() PYVOC_RT {
  framer_.reset();
  std::fill(sum_.begin(), sum_.end(), 0.0);
  std::fill(weight_.begin(), weight_.end(), 0.0);
  frames_ = written_ = 0;
}

std::size_t Denoiser::next_frame(float* out) PYVOC_RT {
  const float* frame = framer_.frame(frames_);
  for (std::size_t i = 0; i < input_.size(); ++i) input_[i] = frame[i] * window_[i];
  fft_.forward(input_.data(), re_.data(), im_.data());
  subtract();
  fft_.inverse(re_.data(), im_.data(), input_.data());
  for (std::size_t i = 0; i < input_.size(); ++i) {
    sum_[i] += input_[i] * window_[i];
    weight_[i] += window_[i] * window_[i];
  }
  const std::size_t hop = settings_.hop_length;
  const auto count = static_cast<std::size_t>(done(frames_ + 1) - written_);
  write(hop - count, count, out);  // what lies before the signal's beginning is left out
  for (std::vector<double>* line : {&sum_, &weight_}) {
    const auto rest =
        std::copy(line->begin() + static_cast<std::ptrdiff_t>(hop), line->end(), line->begin());
    std::fill(rest, line->end(), 0.0);
  }
  ++frames_;
  return count;
}

void Denoiser::subtract() PYVOC_RT {
  for (std::size_t k = 0; k < bias_.size(); ++k) {
    const double magnitude = std::sqrt(re_[k] * re_[k] + im_[k] * im_[k]);
    const double gain = magnitude > bias_[k] ? (magnitude - bias_[k]) / magnitude : 0.0;
    re_[k] *= gain;
    im_[k] *= gain;
  }
}

void Denoiser::write(std::size_t first, std::size_t count, float* out) PYVOC_RT {
  for (std::size_t i = 0; i < count; ++i) {
    out[i] = static_cast<float>(sum_[first + i] / weight_[first + i]);
  }
  written_ += count;
}

}  // namespace pyvoc::dsp
