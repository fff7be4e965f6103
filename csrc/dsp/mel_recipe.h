// MelRecipe: how mel frames are computed, as data. The presets are those of pyvoc/container/mel.py;
// a model's own recipe comes from its file (models/mel_features.h).
//
// Every recipe is the same chain: pad, frames, periodic Hann window centred in the transform,
// magnitude sqrt(re^2 + im^2 + epsilon) to the power `power`, area-normalised Slaney mel filters,
// clamp at `floor`, logarithm, and for normalised recipes decibels mapped to 0..1.
#ifndef PYVOC_DSP_MEL_RECIPE_H_
#define PYVOC_DSP_MEL_RECIPE_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "base/counts.h"

namespace pyvoc::dsp {

enum class MelLog { kLn, kLog10, kDb };      // dB: 20 log10 of amplitudes, 10 log10 of powers
enum class MelPadding { kReflect, kZero };   // reflection does not repeat the edge
constexpr std::size_t kMaxMelFft = 1 << 14;  // and of the hop, window and padding
constexpr std::size_t kMaxMelBands = 512;
constexpr std::size_t kMaxMelRate = 384000;  // Hz

// Defaults are NVIDIA's (Tacotron 2, WaveGlow). Frequencies in Hz, lengths in samples. Floats are
// single precision as in the model file, so a preset and a file that holds it agree in every bit.
struct MelRecipe {
  std::size_t sample_rate = 22050, hop_length = 256, window_length = 1024, fft_length = 1024;
  std::size_t bands = 80;
  float fmin = 0.0f, fmax = 8000.0f;
  MelLog log = MelLog::kLn;
  float floor = 1e-5f;
  int power = 1;
  MelPadding padding = MelPadding::kReflect;
  std::size_t pad = 512;    // samples added at each end
  bool normalized = false;  // (dB - ref_db - min_db) / -min_db, clipped to 0..1
  float ref_db = 0.0f, min_db = -100.0f;
  float epsilon = 0.0f;  // added to the power of every bin before the root

  // How many frames a whole signal gives.
  std::size_t frames(std::size_t samples) const noexcept {
    const auto padded = static_cast<std::size_t>(add_counts(samples, 2 * pad));
    return samples == 0 || padded < fft_length ? 0 : 1 + (padded - fft_length) / hop_length;
  }
};

// What makes a recipe impossible, as sentences joined by "; ", or "".
std::string mel_recipe_problems(const MelRecipe& recipe);

// One of kMelPresetNames; nullptr for other names.
const MelRecipe* find_mel_preset(std::string_view name);
constexpr const char* kMelPresetNames = "mel-nvidia, mel-descript, mel-fatchord, mel-hifigan";

}  // namespace pyvoc::dsp
#endif  // PYVOC_DSP_MEL_RECIPE_H_
