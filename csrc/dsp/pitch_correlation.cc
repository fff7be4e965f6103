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
constexpr int kEdge = 4;  // lags at both ends that are left as they are

// out[l] = sum_j x[j] y[j + l], j in order.
template <int kLength>
void correlate(const float* x, const float* y, int lags, float* out) PYVOC_RT {
  for (int l = 0; l < lags; l += 16) {
    float acc[16] = {};
    for (int j = 0; j < kLength; ++j) {
      for (int k = 0; k < 16; ++k) acc[k] += x[j] * y[j + l + k];
    }
    std::copy(acc, acc + 16, out + l);
  }
}

float dot(const float* x, int n) PYVOC_RT {
  float sum = 0.0f;
  for (int i = 0; i < n; ++i) sum += x[i] * x[i];
  return sum;
}

// The larger of each value and its neighbours a third of a sample away.
void sharpen(float* xc) PYVOC_RT {
  float best[kMaxPeriod];
  for (int i = kEdge; i < kMaxPeriod - kEdge; ++i) {
    float after = 0.0f, before = 0.0f;
    for (int j = 0; j < kTaps; ++j) {
      after += xc[i - 3 + j] * kThird[j];
      before += xc[i + 3 - j] * kThird[j];
    }
    const float side = after > before ? after : before;
    best[i] = xc[i] > side ? xc[i] : side;
  }
  std::copy(best + kEdge, best + kMaxPeriod - kEdge, xc + kEdge);
}

}  // namespace

void PitchCorrelation::reset() PYVOC_RT {
  std::memset(input_, 0, sizeof input_);
  std::memset(excitation_, 0, sizeof excitation_);
  std::memset(window_energy_, 0, sizeof window_energy_);
  filtered_ = 0.0f;
}

void PitchCorrelation::residual(const float* aligned, const float* lpc) PYVOC_RT {
  float sum[kFrame];
  std::copy(aligned, aligned + kFrame, input_ + kLpcOrder);
  std::copy(aligned, aligned + kFrame, sum);
  for (int j = 0; j < kLpcOrder; ++j) {
    const float* past = input_ + kLpcOrder - 1 - j;
    for (int i = 0; i < kFrame; ++i) sum[i] += lpc[j] * past[i];
  }
  std::copy(input_ + kFrame, input_ + kFrame + kLpcOrder, input_);

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

void PitchCorrelation::latest_half(int offset, const float* xcorr, float energy,
                                   float* out) const PYVOC_RT {
  // The energy of the lagged window slides in double precision from a single-precision start.
  const float* past = excitation_ + offset;
  double lagged = dot(past, kHalfFrame - 1);
  float norm[kMaxPeriod];
  for (int i = 0; i < kMaxPeriod; ++i) {
    lagged += past[i + kHalfFrame - 1] * past[i + kHalfFrame - 1];
    norm[i] = static_cast<float>(static_cast<double>(1.0f + energy) + lagged);
    lagged -= past[i] * past[i];
  }
  for (int i = 0; i < kMaxPeriod; ++i) out[i] = 2.0f * xcorr[i] / norm[i];
  sharpen(out);
}

void PitchCorrelation::frame(const float* aligned, const float* lpc,
                             float (*correlation)[kMaxPeriod], float* energy) PYVOC_RT {
  residual(aligned, lpc);
  if (recipe_ == Recipe::k2019) {
    // Window energies belong to a position, not to a lag: 160 are new per frame.
    std::copy(window_energy_ + kFrame, window_energy_ + kFrame + kMaxPeriod, window_energy_);
    const int first = kMaxPeriod - kHalfFrame + 1;
    float* fresh = window_energy_ + first;
    std::fill(fresh, fresh + kFrame, 0.0f);
    for (int k = 0; k < kHalfFrame; ++k) {
      const float* x = excitation_ + first + k;
      for (int i = 0; i < kFrame; ++i) fresh[i] += x[i] * x[i];
    }
  }
  for (int half = 0; half < 2; ++half) {
    const int offset = half * kHalfFrame;
    const float* now = excitation_ + kMaxPeriod + offset;
    float xcorr[kMaxPeriod];
    correlate<kHalfFrame>(now, excitation_ + offset, kMaxPeriod, xcorr);
    energy[half] = dot(now, kHalfFrame);
    if (recipe_ == Recipe::kLatest) {
      latest_half(offset, xcorr, energy[half], correlation[half]);
    } else {
      for (int i = 0; i < kMaxPeriod; ++i) {
        correlation[half][i] =
            2.0f * xcorr[i] / (1.0f + energy[half] + window_energy_[offset + i]);
      }
    }
  }
}

}  // namespace pyvoc::dsp
