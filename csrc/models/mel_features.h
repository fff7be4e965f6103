// What model files say of mel features, as metadata `pyvoc.features.*` (docs/container.md); the
// same keys for every mel-driven model.
#ifndef PYVOC_MODELS_MEL_FEATURES_H_
#define PYVOC_MODELS_MEL_FEATURES_H_

#include <string>

#include "base/status.h"
#include "dsp/mel_recipe.h"
#include "io/gguf.h"
#include "models/problems.h"
#include "models/vocoder.h"

namespace pyvoc::models {

constexpr const char* kMelLayout = "mel";  // pyvoc.features.layout
constexpr int kMaxHop = 16384;             // samples

// What the configuration of every mel-driven model begins with.
struct MelConfig {
  std::string precision;
  int sample_rate = 0, hop_length = 0, bands = 0;
};

// Zeros where a problem was added.
void read_mel_config(Problems& problems, MelConfig& config);

// The VocoderInfo of a mel-driven model, but for what is the model's own.
VocoderInfo describe_mel(const char* architecture, const MelConfig& config, int lookahead_frames);

// Every entry is required. One error (kModel) lists all that is missing, misplaced or impossible.
Result<dsp::MelRecipe> read_mel_recipe(const io::Gguf& file);

}  // namespace pyvoc::models
#endif  // PYVOC_MODELS_MEL_FEATURES_H_
