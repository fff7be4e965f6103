// NeuralPitch: the pitch of a frame and how periodic it is, by a PitchNetwork: from the frame's
// spectrum and the LPC residual to two features. One thread at a time; real-time safe after
// construction.
#ifndef PYVOC_DSP_NEURAL_PITCH_H_
#define PYVOC_DSP_NEURAL_PITCH_H_

#include "base/realtime.h"
#include "dsp/lpc_cepstrum.h"
#include "dsp/pitch_correlation.h"
#include "dsp/pitch_network.h"

namespace pyvoc::dsp {

static_assert(kPitchLags == kLags);

class NeuralPitch {
 public:
  struct Found {
    float pitch;        // log2(256 / T) - 1.5, T the period in samples
    float correlation;  // 0..1, of the low frequencies with those a period ago
  };

  // The network must outlive it.
  NeuralPitch(const PitchNetwork& network, const kernels::KernelTable& table);
  void reset() PYVOC_RT;

  // The spectrum of the frame's window, aligned [160] (the input delayed by 80 samples), lpc [16].
  Found frame(const Spectrum& spectrum, const float* aligned, const float* lpc) PYVOC_RT;

 private:
  void hear_phases(const Spectrum& spectrum) PYVOC_RT;
  void hear_residual(const float* aligned, const float* lpc) PYVOC_RT;
  void correlate() PYVOC_RT;
  float correlation_at(int period) const PYVOC_RT;

  const kernels::KernelTable* kernels_;
  PitchListener listener_;
  LpcResidual residual_;
  float before_re_[kPhaseBins], before_im_[kPhaseBins];  // the spectrum of the frame before
  float filtered_;                                       // the last residual
  float memory_[2];                                      // of the low-pass filter
  // 256 samples of history, then this frame.
  float excitation_[kMaxPeriod + kFrame];  // the residual, its low frequencies louder
  float low_[kMaxPeriod + kFrame];         // its low frequencies alone
};

}  // namespace pyvoc::dsp
#endif  // PYVOC_DSP_NEURAL_PITCH_H_
