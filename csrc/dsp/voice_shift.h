// VoiceShift: another pitch or another length of the vocal tract, written into feature frames on
// their way to a model; by semitones, 12 of them an octave.
//
// LPCNet's frames hold both apart: pitch multiplies the pitch period, formant moves the spectral
// envelope along the frequency axis (the 18 bands' energies per Hz are interpolated). Mel frames
// hold one spectrum with the harmonics in it: there pitch moves all of it, formants too, and
// formant alone is not offered (takes_formant). Nothing is allocated after construction. One thread
// at a time; real-time safe.
#ifndef PYVOC_DSP_VOICE_SHIFT_H_
#define PYVOC_DSP_VOICE_SHIFT_H_

#include <cstddef>
#include <vector>

#include "base/realtime.h"
#include "dsp/lpc_cepstrum.h"
#include "dsp/lpcnet_extractor.h"
#include "dsp/mel_recipe.h"

namespace pyvoc::dsp {

class VoiceShift {
 public:
  static constexpr float kMost = 24.0f;  // semitones, either way

  explicit VoiceShift(Layout layout);
  explicit VoiceShift(const MelRecipe& recipe);

  bool takes_formant() const { return centres_.empty(); }

  // Semitones within -kMost..kMost.
  void set(float pitch, float formant) PYVOC_RT;
  float pitch() const PYVOC_RT { return pitch_; }
  float formant() const PYVOC_RT { return formant_; }

  // frame [dims of the layout or bands of the recipe].
  void apply(float* frame) const PYVOC_RT;

 private:
  void warp_cepstrum(double ratio) PYVOC_RT;

  float pitch_ = 0.0f, formant_ = 0.0f;
  // LPCNet: the column of the pitch, what its period is multiplied by, and the cepstrum's new
  // values: matrix times old ones plus offset.
  std::size_t pitch_column_ = 0;
  bool octaves_ = false;  // the pitch is one of octaves, which are added to
  float period_ratio_ = 1.0f;
  float matrix_[kBands][kBands];
  float offset_[kBands];
  // Mel: centres of the bands in Hz, and for each band where its new value lies among the old.
  std::vector<double> centres_;
  std::vector<float> place_;
  mutable std::vector<float> old_;
};

}  // namespace pyvoc::dsp
#endif  // PYVOC_DSP_VOICE_SHIFT_H_
