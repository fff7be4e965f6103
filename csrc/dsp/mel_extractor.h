// MelExtractor: PCM in any pieces -> log-mel frames [bands] of a recipe.
//
// PCM is mono float in -1..1 at the recipe's rate. The padding of the recipe is applied at the true
// start and end only: a frame comes out as soon as the samples under its window are there, the ones
// that reach beyond the end when the signal is flushed. A signal of any length from one sample on
// works; where it is shorter than the padding the reflection goes to and fro, as numpy.pad's does.
// The arithmetic is double: a
// loud low band would otherwise leak its rounding into quiet high ones, 1e-3 after the logarithm.
// Nothing is allocated after construction. One thread at a time; real-time safe.
#ifndef PYVOC_DSP_MEL_EXTRACTOR_H_
#define PYVOC_DSP_MEL_EXTRACTOR_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "dsp/feature_extractor.h"
#include "dsp/framer.h"
#include "dsp/mel_filters.h"
#include "dsp/mel_recipe.h"
#include "dsp/real_fft.h"

namespace pyvoc::dsp {

class MelExtractor final : public FeatureExtractor {
 public:
  // The recipe has no problems (mel_recipe_problems).
  explicit MelExtractor(const MelRecipe& recipe);

  const MelRecipe& recipe() const { return recipe_; }

  std::size_t sample_rate() const override { return recipe_.sample_rate; }
  std::size_t hop_length() const PYVOC_RT override { return recipe_.hop_length; }
  std::size_t dims() const PYVOC_RT override { return recipe_.bands; }
  std::size_t latency_samples() const PYVOC_RT override;
  std::size_t frames_after(std::size_t n) const PYVOC_RT override;
  std::size_t push(Span<const float> pcm, float* out) PYVOC_RT override;
  std::size_t flush(float* out) PYVOC_RT override;
  void reset() PYVOC_RT override;

 private:
  std::uint64_t due(std::uint64_t samples) const PYVOC_RT;  // frames that are complete
  void compute(const float* window, float* out) PYVOC_RT;   // window_length samples -> bands

  MelRecipe recipe_;
  MelFilters filters_;
  RealFft fft_;
  Framer framer_;
  std::vector<double> window_;                  // Hann [window_length]
  std::vector<double> input_, spectrum_, mel_;  // [fft_length], [fft_length / 2 + 1], [bands]
  std::uint64_t frames_ = 0;
};

}  // namespace pyvoc::dsp
#endif  // PYVOC_DSP_MEL_EXTRACTOR_H_
