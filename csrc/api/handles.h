// What the opaque handles of pyvoc.h point to. Tests and the Python module's testing hooks look
// inside.
#ifndef PYVOC_API_HANDLES_H_
#define PYVOC_API_HANDLES_H_

#include <memory>
#include <optional>
#include <string>

#include "api/stream.h"
#include "dsp/mel_recipe.h"
#include "models/vocoder.h"
#include "pyvoc/pyvoc.h"

struct pyvoc_model {
  std::shared_ptr<const pyvoc::models::Vocoder> vocoder;
  std::string description;                   // JSON
  std::optional<pyvoc::dsp::MelRecipe> mel;  // of a model whose features are mel frames
};

struct pyvoc_stream {
  pyvoc::api::Stream stream;
};

#endif  // PYVOC_API_HANDLES_H_
