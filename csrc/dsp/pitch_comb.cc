#include "dsp/pitch_comb.h"

#include <algorithm>
#include <cmath>

namespace pyvoc::dsp {
namespace {

constexpr int kLowestHz = 50, kHighestHz = 500;
constexpr double kWindowSeconds = 0.0125, kCutHz = 3000.0;
constexpr double kPi = 3.14159265358979323846;
constexpr int kNear = 16;  // lags around the coarse one, as many as a kernel takes
// Of the best: the shortest lag that is so much alike is the period, others are its multiples.
constexpr float kAlike = 0.9f;
constexpr float kLeast = 0.3f, kFull = 0.7f;  // correlations between which the comb comes in
constexpr float kNothing = 1e-9f;

int rounded_up(int n, int step) { return (n + step - 1) / step * step; }

float normalised(float product, float one, float other) PYVOC_RT {
  return product / std::sqrt(one * other + kNothing);
}

}  // namespace

PitchComb::PitchComb(float strength, int sample_rate, int block,
                     const kernels::KernelTable& kernels)
    : kernels_(&kernels),
      strength_(strength),
      pole_(static_cast<float>(std::exp(-2.0 * kPi * kCutHz / sample_rate))),
      least_(std::max(sample_rate / kHighestHz, 2 * kNear)),
      most_(rounded_up(sample_rate / kLowestHz, 2)),
      window_(rounded_up(std::max(block, static_cast<int>(kWindowSeconds * sample_rate)), 2)) {
  // In front of the window the longest lag, and the lags around it.
  past_.resize(static_cast<std::size_t>(window_ + most_ + kNear));
  half_.resize(static_cast<std::size_t>((window_ + most_) / 2));
  const int lags = rounded_up(most_ / 2 - least_ / 2 + 1, 16);
  correlation_.resize(static_cast<std::size_t>(lags));
  energy_.resize(static_cast<std::size_t>(lags));
}

void PitchComb::reset() PYVOC_RT {
  std::fill(past_.begin(), past_.end(), 0.0f);
  echo_ = Echo();
  smooth_ = 0.0f;
}

// The period at half the rate, in samples of the full one; 0: there is none.
int PitchComb::coarse_lag() PYVOC_RT {
  const int n = static_cast<int>(half_.size()), window = window_ / 2, longest = most_ / 2;
  const float* x = past_.data() + past_.size() - window_ - most_;
  for (int i = 0; i < n; ++i) {
    half_[static_cast<std::size_t>(i)] = 0.25f * (x[2 * i - 1] + x[2 * i + 1]) + 0.5f * x[2 * i];
  }
  const int lags = static_cast<int>(correlation_.size());
  float* c = correlation_.data();
  kernels_->correlate_f32(half_.data() + n - window, half_.data(), window, lags, c);
  kernels_->window_energy_f32(half_.data(), window, lags, energy_.data());
  float own = 0.0f;
  for (int i = n - window; i < n; ++i) {
    own += half_[static_cast<std::size_t>(i)] * half_[static_cast<std::size_t>(i)];
  }
  const int count = longest - least_ / 2 + 1;  // the rest fills up the kernel's sixteen
  float best = 0.0f;
  for (int i = 0; i < count; ++i) {
    c[i] = normalised(c[i], own, energy_[static_cast<std::size_t>(i)]);
    best = std::max(best, c[i]);
  }
  if (best < kLeast) return 0;
  for (int i = count - 2; i > 0; --i) {
    if (c[i] >= c[i - 1] && c[i] >= c[i + 1] && c[i] > kAlike * best) return 2 * (longest - i);
  }
  return 0;
}

PitchComb::Echo PitchComb::find() PYVOC_RT {
  Echo echo = echo_;
  echo.share = 0.0f;
  const int coarse = coarse_lag();
  if (coarse == 0) return echo;
  // Around it at the full rate: place i has the lag coarse + kNear / 2 - i.
  const float* window = past_.data() + past_.size() - window_;
  const float* earlier = window - coarse - kNear / 2;
  float product[kNear], energy[kNear], c[kNear];
  kernels_->correlate_f32(window, earlier, window_, kNear, product);
  kernels_->window_energy_f32(earlier, window_, kNear, energy);
  float own = 0.0f;
  for (int i = 0; i < window_; ++i) own += window[i] * window[i];
  constexpr int kFirst = kNear / 2 - 1, kLast = kNear / 2 + 1;
  int best = kFirst;
  for (int i = kFirst - 1; i <= kLast + 1; ++i) c[i] = normalised(product[i], own, energy[i]);
  for (int i = kFirst; i <= kLast; ++i) {
    if (c[i] > c[best]) best = i;
  }
  echo.lag = static_cast<float>(coarse + kNear / 2 - best);
  const float curve = c[best - 1] - 2.0f * c[best] + c[best + 1];
  if (curve < 0.0f) {
    const float shift = 0.5f * (c[best - 1] - c[best + 1]) / curve;
    echo.lag -= std::min(std::max(shift, -0.5f), 0.5f);
  }
  const float voiced = std::min(std::max((c[best] - kLeast) / (kFull - kLeast), 0.0f), 1.0f);
  echo.share = strength_ * voiced / (1.0f + strength_ * voiced);
  return echo;
}

// What an echo adds to the sample at a place of past_.
float PitchComb::difference(int at, const Echo& echo) const PYVOC_RT {
  if (echo.share == 0.0f) return 0.0f;
  const int whole = static_cast<int>(echo.lag);
  const float part = echo.lag - static_cast<float>(whole);
  const float* x = past_.data() + at;
  return echo.share * ((1.0f - part) * x[-whole] + part * x[-whole - 1] - x[0]);
}

void PitchComb::run(float* samples, int n) PYVOC_RT {
  std::copy(past_.begin() + n, past_.end(), past_.begin());
  std::copy(samples, samples + n, past_.end() - n);
  const Echo next = find();
  const int first = static_cast<int>(past_.size()) - n;
  for (int i = 0; i < n; ++i) {
    const float come = static_cast<float>(i + 1) / static_cast<float>(n);
    const float added =
        come * difference(first + i, next) + (1.0f - come) * difference(first + i, echo_);
    smooth_ = pole_ * smooth_ + (1.0f - pole_) * added;
    samples[i] = std::min(std::max(samples[i] + smooth_, -1.0f), 1.0f);
  }
  echo_ = next;
}

}  // namespace pyvoc::dsp
