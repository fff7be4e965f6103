#include "api/extractors.h"

#include <utility>

#include "base/parts.h"
#include "dsp/lpcnet_extractor.h"
#include "dsp/mel_extractor.h"
#include "kernels/resolve.h"

namespace pyvoc::api {

using Extractor = std::unique_ptr<dsp::FeatureExtractor>;

namespace {

[[maybe_unused]] Status left_out(const std::string& features) {
  return Status(Code::kUnsupported, "this build does not extract " + features);
}

Result<Extractor> make_cepstral(const dsp::Layout& layout) {
#if PYVOC_HAS_CEPSTRAL
  const auto table = kernels::active_table();
  if (!table.ok()) return table.status();
  return Extractor(std::make_unique<dsp::LpcnetExtractor>(layout, *table.value()));
#else
  (void)layout;
  return left_out("cepstra and pitch");
#endif
}

}  // namespace

Result<Extractor> make_extractor(const dsp::MelRecipe& recipe) {
#if PYVOC_HAS_MEL
  return Extractor(std::make_unique<dsp::MelExtractor>(recipe));
#else
  (void)recipe;
  return left_out("mel frames");
#endif
}

Result<Extractor> make_extractor(const std::string& layout) {
  if (const dsp::MelRecipe* preset = dsp::find_mel_preset(layout)) return make_extractor(*preset);
  const auto found = dsp::find_layout(layout);
  if (!found) {
    return Status(Code::kArgument, "unknown feature layout '" + layout + "'; expected one of " +
                                       dsp::kLayoutNames + ", " + dsp::kMelPresetNames);
  }
  return make_cepstral(*found);
}

Result<Extractor> make_extractor(const pyvoc_model& model) {
  if (model.mel) return make_extractor(*model.mel);
#if PYVOC_HAS_CEPSTRAL && PYVOC_HAS_MIX
  if (const dsp::PitchNetwork* network = model.vocoder->pitch_network()) {
    const auto table = kernels::active_table();
    if (!table.ok()) return table.status();
    // The network lives as long as its model.
    std::shared_ptr<const dsp::PitchNetwork> shared(model.vocoder, network);
    return Extractor(std::make_unique<dsp::LpcnetExtractor>(std::move(shared), *table.value()));
  }
#endif
  return make_extractor(model.vocoder->info().feature_layout);
}

}  // namespace pyvoc::api
