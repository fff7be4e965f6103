#include "dsp/neural_pitch.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/denormals.h"

namespace pyvoc::dsp {
namespace {

constexpr float kTiny = 1e-15f;
constexpr float kLevelOffset = 6.0f, kLevelScale = 1.0f / 64.0f;  // of decibels
constexpr float kResidualMemory = 0.7f;
// Elliptic low-pass at 1.2 kHz.
constexpr float kLowPassB[2] = {-0.84946f, 1.0f};
constexpr float kLowPassA[2] = {-1.54220f, 0.70781f};
constexpr double kSharpness = 5.0;  // of the correlation's soft rectifier

float level(float power) PYVOC_RT {
  const float decibels = 10.0f * std::log10(kTiny + power);
  return std::clamp((decibels - kLevelOffset) * kLevelScale, -1.0f, 1.0f);
}

double soft_rectifier(double x) PYVOC_RT { return std::log1p(std::exp(kSharpness * x)); }

// In sums side by side, each of which would otherwise wait for the one before.
double dot(const float* x, const float* y) PYVOC_RT {
  constexpr int kLanes = 8;
  static_assert(kFrame % kLanes == 0);
  double sums[kLanes] = {};
  for (int i = 0; i < kFrame; i += kLanes) {
    for (int k = 0; k < kLanes; ++k) sums[k] += static_cast<double>(x[i + k]) * y[i + k];
  }
  double sum = 0.0;
  for (const double s : sums) sum += s;
  return sum;
}

// As biquad() of biquad.h, in place, with less to wait for from sample to sample.
void low_pass(float* x, float* memory) PYVOC_RT {
  constexpr float kB0 = kLowPassB[0] - kLowPassA[0], kB1 = kLowPassB[1] - kLowPassA[1];
  float m0 = memory[0], m1 = memory[1];
  for (int i = 0; i < kFrame; ++i) {
    const float in = x[i], before = m0;
    x[i] = in + m0;
    m0 = (kB0 * in + m1) - kLowPassA[0] * before;
    m1 = kB1 * in - kLowPassA[1] * before;
  }
  memory[0] = m0;
  memory[1] = m1;
}

// Drops the oldest frame; returns where the newest goes.
float* shift(float (&signal)[kMaxPeriod + kFrame]) PYVOC_RT {
  std::copy(signal + kFrame, signal + kFrame + kMaxPeriod, signal);
  return signal + kMaxPeriod;
}

}  // namespace

NeuralPitch::NeuralPitch(const PitchNetwork& network, const kernels::KernelTable& table)
    : kernels_(&table), listener_(network, table), residual_(table) {
  reset();
}

void NeuralPitch::reset() PYVOC_RT {
  listener_.reset();
  residual_.reset();
  std::memset(before_re_, 0, sizeof before_re_);
  std::memset(before_im_, 0, sizeof before_im_);
  filtered_ = memory_[0] = memory_[1] = 0.0f;
  std::memset(excitation_, 0, sizeof excitation_);
  std::memset(low_, 0, sizeof low_);
}

void NeuralPitch::hear_phases(const Spectrum& x) PYVOC_RT {
  float* to = listener_.phases();
  *to++ = level(x.re[0] * x.re[0]);
  for (int k = 1; k < kPhaseBins; ++k) {
    const float re = x.re[k] * before_re_[k] + x.im[k] * before_im_[k];
    const float im = x.im[k] * before_re_[k] - x.re[k] * before_im_[k];
    const float length = std::sqrt(kTiny + re * re + im * im);
    *to++ = re / length;
    *to++ = im / length;
    *to++ = level(x.re[k] * x.re[k] + x.im[k] * x.im[k]);
  }
  std::copy(x.re, x.re + kPhaseBins, before_re_);
  std::copy(x.im, x.im + kPhaseBins, before_im_);
}

void NeuralPitch::hear_residual(const float* aligned, const float* lpc) PYVOC_RT {
  float* low = shift(low_);
  residual_.frame(aligned, lpc, low);
  float* loud = shift(excitation_);
  loud[0] = low[0] + kResidualMemory * filtered_;
  for (int i = 1; i < kFrame; ++i) loud[i] = low[i] + kResidualMemory * low[i - 1];
  filtered_ = low[kFrame - 1];
  low_pass(low, memory_);
}

void NeuralPitch::correlate() PYVOC_RT {
  const float* now = excitation_ + kMaxPeriod;
  float* out = listener_.correlation();
  kernels_->correlate_f32(now, excitation_, kFrame, kPitchLags, out);
  const double base = 1.0 + dot(now, now);
  double lagged = dot(excitation_, excitation_);  // of the 160 samples from i on
  for (int i = 0; i < kPitchLags; ++i) {
    // After a loud frame, rounding may leave less than nothing.
    out[i] = static_cast<float>(2.0 * out[i] / (base + std::max(lagged, 0.0)));
    const double leaves = excitation_[i], joins = excitation_[i + kFrame];
    lagged += joins * joins - leaves * leaves;
  }
}

float NeuralPitch::correlation_at(int period) const PYVOC_RT {
  const float *now = low_ + kMaxPeriod, *then = now - period;
  const double r = dot(now, then) / std::sqrt(1.0 + dot(now, now) * dot(then, then));
  return static_cast<float>(soft_rectifier(r) / soft_rectifier(1.0));
}

NeuralPitch::Found NeuralPitch::frame(const Spectrum& spectrum, const float* aligned,
                                      const float* lpc) PYVOC_RT {
  const DenormalGuard guard;  // the filter's memory decays
  hear_phases(spectrum);
  hear_residual(aligned, lpc);
  correlate();
  const float pitch = pitch_of(listener_.step());
  const double period = std::floor(0.5 + kMaxPeriod / std::exp2(pitch + 1.5));
  return {pitch, correlation_at(static_cast<int>(period))};
}

}  // namespace pyvoc::dsp
