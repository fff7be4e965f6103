#include "dsp/resampler.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace pyvoc::dsp {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr std::size_t kPhases = 256;
constexpr double kCrossings = 32.0;
constexpr double kBeta = 8.0;     // Kaiser: 80 dB
constexpr double kCutoff = 0.91;  // of half the lower rate; the rest is transition
constexpr float kZeros[64] = {};  // what is pushed at the end

double bessel_i0(double x) {
  double sum = 1.0, term = 1.0;
  for (int k = 1; k < 60; ++k) {
    term *= (x / (2.0 * k)) * (x / (2.0 * k));
    sum += term;
  }
  return sum;
}

// Rows are whole groups of eight taps: eight sums that need no order among them.
float dot(const float* x, const float* a, const float* b, float toward_b, std::size_t n) PYVOC_RT {
  float sums[8] = {};
  for (std::size_t i = 0; i < n; i += 8) {
    for (std::size_t k = 0; k < 8; ++k) {
      sums[k] += x[i + k] * (a[i + k] + toward_b * (b[i + k] - a[i + k]));
    }
  }
  return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

}  // namespace

Resampler::Resampler(double from_rate, double to_rate) : from_rate_(from_rate), to_rate_(to_rate) {
  const double cutoff = kCutoff * std::min(1.0, to_rate / from_rate);  // of half the input rate
  const double reach = kCrossings / cutoff;                            // samples
  half_ = (static_cast<std::size_t>(std::ceil(reach)) + 3) / 4 * 4;
  table_.resize((kPhases + 1) * 2 * half_);
  for (std::size_t phase = 0; phase <= kPhases; ++phase) {
    float* row = table_.data() + phase * 2 * half_;
    for (std::size_t k = 0; k < 2 * half_; ++k) {
      const double t = static_cast<double>(k) - static_cast<double>(half_ - 1) -
                       static_cast<double>(phase) / kPhases;
      const double u = t / reach;
      if (u <= -1.0 || u >= 1.0) continue;
      const double sinc = t == 0.0 ? 1.0 : std::sin(kPi * cutoff * t) / (kPi * cutoff * t);
      const double window = bessel_i0(kBeta * std::sqrt(1.0 - u * u)) / bessel_i0(kBeta);
      row[k] = static_cast<float>(cutoff * sinc * window);
    }
  }
  line_.resize(4 * half_ + 64);
  reset();
}

void Resampler::reset() PYVOC_RT {
  // Zeros before the first sample: half_ - 1 of them lie left of it.
  filled_ = half_ - 1;
  std::fill(line_.begin(), line_.end(), 0.0f);
  whole_ = 0;
  part_ = 0.0;
  taken_ = written_ = 0;
  correct(1.0);
}

void Resampler::correct(double factor) PYVOC_RT {
  const double used = std::clamp(factor, 1.0 - kMostCorrection, 1.0 + kMostCorrection);
  step_ = from_rate_ / to_rate_ / used;
}

std::size_t Resampler::most(std::size_t n) const PYVOC_RT {
  const double least_step = from_rate_ / to_rate_ / (1.0 + kMostCorrection);
  return static_cast<std::size_t>(static_cast<double>(n + half_) / least_step) + 2;
}

float Resampler::interpolate() const PYVOC_RT {
  const double at = part_ * kPhases;
  const std::size_t phase = static_cast<std::size_t>(at);
  const float* row = table_.data() + phase * 2 * half_;
  return dot(line_.data() + whole_, row, row + 2 * half_,
             static_cast<float>(at - static_cast<double>(phase)), 2 * half_);
}

std::size_t Resampler::push(Span<const float> pcm, float* out) PYVOC_RT {
  std::size_t written = 0, used = 0;
  while (used < pcm.size()) {
    const std::size_t n = std::min(pcm.size() - used, line_.size() - filled_);
    std::memcpy(line_.data() + filled_, pcm.data() + used, sizeof(float) * n);
    filled_ += n;
    used += n;
    while (whole_ + 2 * half_ <= filled_) {
      out[written++] = interpolate();
      part_ += step_;
      const double whole = std::floor(part_);
      part_ -= whole;
      whole_ += static_cast<std::size_t>(whole);
    }
    // The next output needs nothing before whole_, which a great step may put beyond the end.
    const std::size_t drop = std::min(whole_, filled_);
    std::memmove(line_.data(), line_.data() + drop, sizeof(float) * (filled_ - drop));
    filled_ -= drop;
    whole_ -= drop;
  }
  taken_ += pcm.size();
  written_ += written;
  return written;
}

std::size_t Resampler::flush(float* out) PYVOC_RT {
  std::size_t written = 0;
  for (std::size_t left = half_; left > 0;) {
    const std::size_t n = std::min<std::size_t>(left, 64);
    written += push({kZeros, n}, out + written);
    left -= n;
  }
  return written;
}

}  // namespace pyvoc::dsp
