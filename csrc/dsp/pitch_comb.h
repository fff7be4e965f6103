// PitchComb: a comb at the pitch of a voice, behind a model that draws its samples.
//
// What is drawn by chance is noise between the harmonics: hoarseness. A sample and the one a pitch
// period before it have the voice in common and the noise not, so that their mean has less of it
// (the long-term postfilter of speech coders: Chen & Gersho, "Adaptive postfiltering for quality
// enhancement of coded speech", 1995). The period is found in the signal itself, block by block;
// where that does not repeat, nothing is done. Deterministic: every tier gives the same bits.
// Nothing is allocated after construction. One thread at a time; real-time safe.
#ifndef PYVOC_DSP_PITCH_COMB_H_
#define PYVOC_DSP_PITCH_COMB_H_

#include <vector>

#include "base/realtime.h"
#include "kernels/table.h"

namespace pyvoc::dsp {

class PitchComb {
 public:
  // strength: 0 (nothing) to 1 (the sample and the one before it alike); block: the most samples
  // that run is given at a time.
  PitchComb(float strength, int sample_rate, int block, const kernels::KernelTable& kernels);

  void reset() PYVOC_RT;

  // The next n <= block samples (-1..1), in place. How a signal is divided into blocks matters:
  // each has one period.
  void run(float* samples, int n) PYVOC_RT;

 private:
  struct Echo {
    float lag = 0.0f;    // samples, a part of one with them
    float share = 0.0f;  // of what is so long ago, in the sample
  };

  Echo find() PYVOC_RT;
  int coarse_lag() PYVOC_RT;
  float difference(int at, const Echo& echo) const PYVOC_RT;

  const kernels::KernelTable* kernels_;
  float strength_;
  float pole_;                               // of what is added, whose heights are noise anyway
  int least_, most_;                         // lags, samples
  int window_;                               // samples that are compared with earlier ones
  std::vector<float> past_;                  // the signal as it came, ending with the block
  std::vector<float> half_;                  // its end at half the rate
  std::vector<float> correlation_, energy_;  // by lag, the longest first
  Echo echo_;                                // at the block's start
  float smooth_ = 0.0f;
};

}  // namespace pyvoc::dsp
#endif  // PYVOC_DSP_PITCH_COMB_H_
