#include "api/extractors.h"

#include <utility>

#include "dsp/lpcnet_extractor.h"
#include "dsp/mel_extractor.h"
#include "kernels/resolve.h"

namespace pyvoc::api {

using Extractor = std::unique_ptr<dsp::FeatureExtractor>;

Result<Extractor> make_extractor(const std::string& layout) {
  if (const dsp::MelRecipe* preset = dsp::find_mel_preset(layout)) {
    return Extractor(std::make_unique<dsp::MelExtractor>(*preset));
  }
  const auto found = dsp::find_layout(layout);
  if (!found) {
    return Status(Code::kArgument, "unknown feature layout '" + layout + "'; expected one of " +
                                       dsp::kLayoutNames + ", " + dsp::kMelPresetNames);
  }
  const auto table = kernels::active_table();
  if (!table.ok()) return table.status();
  return Extractor(std::make_unique<dsp::LpcnetExtractor>(*found, *table.value()));
}

Result<Extractor> make_extractor(const pyvoc_model& model) {
  if (model.mel) return Extractor(std::make_unique<dsp::MelExtractor>(*model.mel));
  if (const dsp::PitchNetwork* network = model.vocoder->pitch_network()) {
    const auto table = kernels::active_table();
    if (!table.ok()) return table.status();
    // The network lives as long as its model.
    std::shared_ptr<const dsp::PitchNetwork> shared(model.vocoder, network);
    return Extractor(std::make_unique<dsp::LpcnetExtractor>(std::move(shared), *table.value()));
  }
  return make_extractor(model.vocoder->info().feature_layout);
}

}  // namespace pyvoc::api
