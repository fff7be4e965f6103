// LpcnetAnalysis: pre-emphasised 10 ms frames -> LPCNet feature rows.
//
// Row of the latest recipe, 36 floats: cepstrum 0..17, pitch 18, correlation 19, LPC 20..35.
// Row of the 2019 recipe, 55 floats: cepstrum 0..17, zeros 18..35, pitch 36, correlation 37,
// log10 of the LPC residual energy 38, LPC 39..54; rows come out four at a time.
// Pitch is 0.01 (T1 + T2 - 200), T = period in samples of the two half-frames, or, where a network
// tells it (the latest recipe only), log2(256 / T) - 1.5; correlation has 0.5 subtracted. Input is
// on the s16 scale. One thread at a time; real-time safe.
#ifndef PYVOC_DSP_LPCNET_ANALYSIS_H_
#define PYVOC_DSP_LPCNET_ANALYSIS_H_

#include <cstddef>
#include <optional>

#include "base/realtime.h"
#include "dsp/lpc_cepstrum.h"
#include "dsp/neural_pitch.h"
#include "dsp/pitch_correlation.h"
#include "dsp/pitch_tracker.h"

namespace pyvoc::dsp {

constexpr int kRowLatest = 36;
constexpr int kRow2019 = 55;
constexpr int kMaxRow = kRow2019;
constexpr int kSuperframe = 4;  // frames per decision of the 2019 recipe
constexpr int kSampleRate = 16000;
constexpr float kPreemphasis = 0.85f;

class LpcnetAnalysis {
 public:
  LpcnetAnalysis(Recipe recipe, const kernels::KernelTable& table)
      : recipe_(recipe), correlator_(recipe, table), tracker_(recipe, table) {
    reset();
  }
  // The latest recipe; the network must outlive it.
  LpcnetAnalysis(const PitchNetwork& network, const kernels::KernelTable& table)
      : LpcnetAnalysis(Recipe::kLatest, table) {
    neural_.emplace(network, table);
  }
  void reset() PYVOC_RT;

  Recipe recipe() const { return recipe_; }
  int row_size() const { return recipe_ == Recipe::kLatest ? kRowLatest : kRow2019; }
  int frames_per_decision() const { return recipe_ == Recipe::kLatest ? 1 : kSuperframe; }
  int lpc_column() const { return row_size() - kLpcOrder; }
  int waiting() const { return waiting_; }  // frames of an unfinished superframe

  // x [160]. Returns the rows completed: 0, or frames_per_decision(), found in rows().
  int frame(const float* x) PYVOC_RT;

  // [frames_per_decision(), row_size()], valid until the next call of frame().
  const float* rows() const { return rows_; }

 private:
  Recipe recipe_;
  CepstralAnalysis cepstral_;
  PitchCorrelation correlator_;
  PitchTracker tracker_;
  std::optional<NeuralPitch> neural_;  // instead of both
  float window_[kFftSize];             // the previous frame and this one
  int waiting_;
  float rows_[kSuperframe * kMaxRow];
  float correlation_[kMaxHalves][kMaxPeriod];
  float energy_[kMaxHalves];
};

}  // namespace pyvoc::dsp
#endif  // PYVOC_DSP_LPCNET_ANALYSIS_H_
