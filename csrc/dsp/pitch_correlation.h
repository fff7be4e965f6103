// PitchCorrelation: normalised cross-correlation of the LPC residual with its own past.
//
// Per 10 ms frame and per 5 ms half-frame, 256 lag candidates: index i stands for a period of 256 -
// i samples. State: residual history. One thread at a time; real-time safe.
#ifndef PYVOC_DSP_PITCH_CORRELATION_H_
#define PYVOC_DSP_PITCH_CORRELATION_H_

#include "base/realtime.h"
#include "dsp/lpc_residual.h"
#include "kernels/table.h"

namespace pyvoc::dsp {

constexpr int kHalfFrame = 80;
constexpr int kMaxPeriod = 256;  // samples
constexpr int kMinPeriod = 32;
constexpr int kLags = kMaxPeriod - kMinPeriod;  // candidates of the tracker, indices 0..223

// The two published recipes differ in details of the arithmetic.
enum class Recipe {
  kLatest,  // 36 floats per frame: one decision per 10 ms frame
  k2019,    // 55 floats per frame: one decision per 40 ms superframe
};

class PitchCorrelation {
 public:
  PitchCorrelation(Recipe recipe, const kernels::KernelTable& table)
      : recipe_(recipe), kernels_(&table), residual_(table) {
    reset();
  }
  void reset() PYVOC_RT;

  // aligned [160]: the input delayed by 80 samples; lpc [16] of the current frame.
  // correlation: one row per half-frame; energy: of each half-frame's residual.
  void frame(const float* aligned, const float* lpc, float (*correlation)[kMaxPeriod],
             float* energy) PYVOC_RT;

 private:
  void excite(const float* aligned, const float* lpc) PYVOC_RT;
  void lagged_norms(const float* energy, float (*norm)[kMaxPeriod]) const PYVOC_RT;

  Recipe recipe_;
  const kernels::KernelTable* kernels_;
  LpcResidual residual_;
  float filtered_;                            // the last residual
  float excitation_[kMaxPeriod + kFrame];     // 256 samples of history, then this frame
  float window_energy_[kMaxPeriod + kFrame];  // 2019: of the 80 samples from each position on
};

}  // namespace pyvoc::dsp
#endif  // PYVOC_DSP_PITCH_CORRELATION_H_
