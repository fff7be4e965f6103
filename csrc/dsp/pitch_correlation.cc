#include "dsp/pitch_correlation.h"

#include <algorithm>
#include <cstring>

namespace pyvoc::dsp {
namespace {

constexpr float kResidualMemory = 0.7f;
constexpr double kResidualMemory2019 = 0.7;  // the 2019 recipe rounds once, from double
// Windowed sinc at +1/3 sample: correlations are looked at with three times the resolution.
constexpr int kTaps = 7;
constexpr float kThird[kTaps] = {0.026184f,  -0.098339f, 0.369938f, 0.837891f,
                                 -0.184969f, 0.070242f,  -0.020947f};
constexpr int kEdge = 4;                        // lags at both ends that are left as they are
constexpr int kTail = kMaxPeriod - kEdge - 16;  // the last 16 lags that are not

float dot(const float* x, int n) PYVOC_RT {
  float sum = 0.0f;
  for (int i = 0; i < n; ++i) sum += x[i] * x[i];
  return sum;
}

}  // namespace

void PitchCorrelation::reset() PYVOC_RT {
  residual_.reset();
  std::memset(excitation_, 0, sizeof excitation_);
  std::memset(window_energy_, 0, sizeof window_energy_);
  filtered_ = 0.0f;
}

void PitchCorrelation::excite(const float* aligned, const float* lpc) PYVOC_RT {
  float sum[kFrame];
  residual_.frame(aligned, lpc, sum);
  std::copy(excitation_ + kFrame, excitation_ + kFrame + kMaxPeriod, excitation_);
  float* fresh = excitation_ + kMaxPeriod;
  if (recipe_ == Recipe::kLatest) {
    fresh[0] = sum[0] + kResidualMemory * filtered_;
    for (int i = 1; i < kFrame; ++i) fresh[i] = sum[i] + kResidualMemory * sum[i - 1];
  } else {
    fresh[0] = static_cast<float>(sum[0] + kResidualMemory2019 * filtered_);
    for (int i = 1; i < kFrame; ++i) {
      fresh[i] = static_cast<float>(sum[i] + kResidualMemory2019 * sum[i - 1]);
    }
  }
  filtered_ = sum[kFrame - 1];
}

void PitchCorrelation::lagged_norms(const float* energy, float (*norm)[kMaxPeriod]) const PYVOC_RT {
  // The energy of the lagged window slides in double precision from a single-precision start; the
  // two halves are independent chains, walked together.
  const float* x0 = excitation_;
  const float* x1 = excitation_ + kHalfFrame;
  double lagged0 = dot(x0, kHalfFrame - 1), lagged1 = dot(x1, kHalfFrame - 1);
  const double base0 = 1.0f + energy[0], base1 = 1.0f + energy[1];
  for (int i = 0; i < kMaxPeriod; ++i) {
    const int last = i + kHalfFrame - 1;
    lagged0 += x0[last] * x0[last];
    lagged1 += x1[last] * x1[last];
    norm[0][i] = static_cast<float>(base0 + lagged0);
    norm[1][i] = static_cast<float>(base1 + lagged1);
    lagged0 -= x0[i] * x0[i];
    lagged1 -= x1[i] * x1[i];
  }
}

void PitchCorrelation::frame(const float* aligned, const float* lpc,
                             float (*correlation)[kMaxPeriod], float* energy) PYVOC_RT {
  excite(aligned, lpc);
  if (recipe_ == Recipe::k2019) {
    // Window energies belong to a position, not to a lag: 160 are new per frame.
    std::copy(window_energy_ + kFrame, window_energy_ + kFrame + kMaxPeriod, window_energy_);
    const int first = kMaxPeriod - kHalfFrame + 1;
    kernels_->window_energy_f32(excitation_ + first, kHalfFrame, kFrame, window_energy_ + first);
  }
  for (int half = 0; half < 2; ++half) {
    energy[half] = dot(excitation_ + kMaxPeriod + half * kHalfFrame, kHalfFrame);
  }
  float norm[2][kMaxPeriod];
  if (recipe_ == Recipe::kLatest) lagged_norms(energy, norm);
  for (int half = 0; half < 2; ++half) {
    const int offset = half * kHalfFrame;
    float* out = correlation[half];
    float xcorr[kMaxPeriod];
    kernels_->correlate_f32(excitation_ + kMaxPeriod + offset, excitation_ + offset, kHalfFrame,
                            kMaxPeriod, xcorr);
    if (recipe_ == Recipe::kLatest) {
      for (int i = 0; i < kMaxPeriod; ++i) xcorr[i] = 2.0f * xcorr[i] / norm[half][i];
      // Only lags that have both neighbourhoods are sharpened; the ends stay as they are.
      float sharp[kMaxPeriod];
      kernels_->sharpen_f32(xcorr + kEdge, kThird, kMaxPeriod - 16, sharp + kEdge);
      kernels_->sharpen_f32(xcorr + kTail, kThird, 16, sharp + kTail);
      std::copy(xcorr, xcorr + kMaxPeriod, out);
      std::copy(sharp + kEdge, sharp + kMaxPeriod - kEdge, out + kEdge);
    } else {
      for (int i = 0; i < kMaxPeriod; ++i) {
        out[i] = 2.0f * xcorr[i] / (1.0f + energy[half] + window_energy_[offset + i]);
      }
    }
  }
}

}  // namespace pyvoc::dsp
