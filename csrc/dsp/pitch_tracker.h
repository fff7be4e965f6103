// PitchTracker: the best path through the lag candidates of successive 5 ms half-frames (Viterbi).
//
// Candidates are indices 0..223 (period 256 - index). Moving by j lags between half-frames costs
// 0.02 j^2, jumping anywhere costs 6; a half-frame's correlations count in proportion to its share
// of the energy. One thread at a time; real-time safe.
#ifndef PYVOC_DSP_PITCH_TRACKER_H_
#define PYVOC_DSP_PITCH_TRACKER_H_

#include "base/realtime.h"
#include "dsp/pitch_correlation.h"
#include "kernels/table.h"

namespace pyvoc::dsp {

constexpr int kMaxHalves = 8;  // half-frames per decision: 2 (latest), 8 (2019)

struct PitchDecision {
  int period[kMaxHalves];  // samples, per half-frame
  float correlation;       // energy-weighted mean along the path
};

class PitchTracker {
 public:
  PitchTracker(Recipe recipe, const kernels::KernelTable& table);
  void reset() PYVOC_RT;

  // halves: 2 or 8; correlation [halves][256] (modified), energy [halves] (modified).
  PitchDecision decide(int halves, float (*correlation)[kMaxPeriod], float* energy) PYVOC_RT;

 private:
  static constexpr int kReach = 4;  // largest move between half-frames, in lags
  struct Step {
    float score[kReach + kLags + kReach];  // padded with "never" at both ends
    float jump;                            // score of a jump: the best score minus its cost
    int jump_from;                         // the candidate a jump starts at
  };
  void advance_2019(const Step& from, const float* gain, float weight, float* next) const PYVOC_RT;
  int origin_latest(const Step& from, int candidate) const PYVOC_RT;
  int origin_2019(const Step& from, int candidate) const PYVOC_RT;

  Recipe recipe_;
  const kernels::KernelTable* kernels_;
  float cost_[kLags];  // of a move by so many lags
  Step step_[kMaxHalves + 1];
};

}  // namespace pyvoc::dsp
#endif  // PYVOC_DSP_PITCH_TRACKER_H_
