// Excitation: the signal that a model hears in training, and the codes it has to tell.
//
// Per sample: code = mu-law of (clean - prediction), the target; code + noise, clipped to 0..255,
// is what is decoded and added to the prediction to give the signal that the next predictions see.
// Noise 0 leaves the quantisation error, which is what a model hears when it draws every code
// right. Values are pre-emphasised and on the s16 scale. One thread at a time; real-time safe;
// total for finite input (a wild predictor cannot run away).
#ifndef PYVOC_DSP_EXCITATION_H_
#define PYVOC_DSP_EXCITATION_H_

#include <cstddef>
#include <cstdint>

#include "base/realtime.h"
#include "dsp/lpc_cepstrum.h"
#include "dsp/pitch_correlation.h"

namespace pyvoc::dsp {

class Excitation {
 public:
  static constexpr int kSilence = 128;

  // `code` stands for the excitation before the first sample.
  explicit Excitation(int code = kSilence);

  float signal() const PYVOC_RT { return signal_[0]; }  // as heard at t - 1
  int code() const PYVOC_RT { return code_; }           // excitation at t - 1, noise included
  float predict(const float* lpc) const PYVOC_RT;       // of sample t; lpc [16]

  // Takes the clean sample t and its prediction; returns the target code.
  int accept(float clean, float prediction, int noise) PYVOC_RT;

  // clean, noise [frames * 160], lpc [frames, 16] -> signal at t, target codes [frames * 160].
  void run(const float* clean, const float* lpc, const std::int32_t* noise, std::size_t frames,
           float* signal, std::uint8_t* codes) PYVOC_RT;

 private:
  const float* decoded_;          // [256]
  float signal_[kLpcOrder] = {};  // newest first
  int code_;
};

}  // namespace pyvoc::dsp
#endif  // PYVOC_DSP_EXCITATION_H_
