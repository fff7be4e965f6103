// From the name of a layout, or from a model, to its feature extractor.
#ifndef PYVOC_API_EXTRACTORS_H_
#define PYVOC_API_EXTRACTORS_H_

#include <memory>
#include <string>

#include "api/handles.h"
#include "base/status.h"
#include "dsp/feature_extractor.h"
#include "dsp/mel_recipe.h"

namespace pyvoc::api {

// Each fails where the build leaves these features out.
Result<std::unique_ptr<dsp::FeatureExtractor>> make_extractor(const std::string& layout);
Result<std::unique_ptr<dsp::FeatureExtractor>> make_extractor(const dsp::MelRecipe& recipe);
// Of the features that the model reads.
Result<std::unique_ptr<dsp::FeatureExtractor>> make_extractor(const pyvoc_model& model);

}  // namespace pyvoc::api
#endif  // PYVOC_API_EXTRACTORS_H_
