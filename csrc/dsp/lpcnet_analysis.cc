#include "dsp/lpcnet_analysis.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace pyvoc::dsp {
namespace {

constexpr int kMinPeriodSum = 66;  // of two half-frames; the latest recipe clamps
constexpr int kMaxPeriodSum = 510;
constexpr int kPeriodOffset = 200;
constexpr float kPitchScale = 0.01f;
constexpr double kPitchScale2019 = 0.01;  // rounded once, from double
constexpr float kCorrelationOffset = 0.5f;

}  // namespace

void LpcnetAnalysis::reset() PYVOC_RT {
  correlator_.reset();
  tracker_.reset();
  if (neural_) neural_->reset();
  std::memset(window_, 0, sizeof window_);
  std::memset(rows_, 0, sizeof rows_);
  waiting_ = 0;
}

int LpcnetAnalysis::frame(const float* x) PYVOC_RT {
  std::copy(window_ + kFrame, window_ + 2 * kFrame, window_);
  std::copy(x, x + kFrame, window_ + kFrame);

  float* row = rows_ + waiting_ * row_size();
  float* lpc = row + lpc_column();
  Spectrum spectrum;
  cepstral_.spectrum(window_, spectrum);
  cepstral_.cepstrum(spectrum, row);
  const float residual = cepstral_.predictor(row, lpc);
  // The pitch sees the input half a frame late, so that both are centred on the frame.
  const float* aligned = window_ + kFrame - kHalfFrame;
  if (neural_) {
    const NeuralPitch::Found found = neural_->frame(spectrum, aligned, lpc);
    row[kBands] = found.pitch;
    row[kBands + 1] = found.correlation - kCorrelationOffset;
    return 1;
  }
  correlator_.frame(aligned, lpc, correlation_ + 2 * waiting_, energy_ + 2 * waiting_);
  if (recipe_ == Recipe::kLatest) {
    const PitchDecision d = tracker_.decide(2, correlation_, energy_);
    const int sum = std::clamp(d.period[0] + d.period[1], kMinPeriodSum, kMaxPeriodSum);
    row[kBands] = kPitchScale * static_cast<float>(sum - kPeriodOffset);
    row[kBands + 1] = d.correlation - kCorrelationOffset;
    return 1;
  }
  row[2 * kBands + 2] = static_cast<float>(std::log10(static_cast<double>(residual)));
  if (++waiting_ < kSuperframe) return 0;
  waiting_ = 0;
  const PitchDecision d = tracker_.decide(kMaxHalves, correlation_, energy_);
  for (int k = 0; k < kSuperframe; ++k) {
    float* out = rows_ + k * kRow2019;
    const int sum = d.period[2 * k] + d.period[2 * k + 1];
    out[2 * kBands] = static_cast<float>(kPitchScale2019 * (sum - kPeriodOffset));
    out[2 * kBands + 1] = d.correlation - kCorrelationOffset;
  }
  return kSuperframe;
}

}  // namespace pyvoc::dsp
