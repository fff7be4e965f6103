#include "dsp/neural_pitch.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/denormals.h"
#include "dsp/biquad.h"

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

double dot(const float* x, const float* y) PYVOC_RT {
  double sum = 0.0;
  for (int i = 0; i < kFrame; ++i) sum += static_cast<double>(x[i]) * y[i];
  return sum;
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
  for (int i = 0; i < kFrame; ++i) {
    loud[i] = low[i] + kResidualMemory * filtered_;
    filtered_ = low[i];
  }
  biquad(low, kFrame, memory_, kLowPassB, kLowPassA);
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
