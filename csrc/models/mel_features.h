// The mel recipe that a model file carries as metadata `pyvoc.features.*` (docs/container.md); the
// same keys for every mel-driven model.
#ifndef PYVOC_MODELS_MEL_FEATURES_H_
#define PYVOC_MODELS_MEL_FEATURES_H_

#include "base/status.h"
#include "dsp/mel_recipe.h"
#include "io/gguf.h"

namespace pyvoc::models {

constexpr const char* kMelLayout = "mel";  // pyvoc.features.layout

// Every entry is required. One error (kModel) lists all that is missing, misplaced or impossible.
Result<dsp::MelRecipe> read_mel_recipe(const io::Gguf& file);

}  // namespace pyvoc::models
#endif  // PYVOC_MODELS_MEL_FEATURES_H_
