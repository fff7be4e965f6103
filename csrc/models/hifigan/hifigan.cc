// HiFi-GAN (Kong, Kim, Bae, 2020, arXiv:2010.05646): the generators of jik876/hifi-gan and of what
// descends from it.
#include "models/hifigan/generator.h"

namespace pyvoc::models::hifigan {
namespace {

class Hifigan final : public ConvVocoder<Config, Weights, Generator> {
 public:
  using ConvVocoder::ConvVocoder;

 private:
  std::vector<StageActivations> list_layers(std::vector<Activations>& seen) const override;
};

std::vector<StageActivations> Hifigan::list_layers(std::vector<Activations>& seen) const {
  int blocks = 0;
  for (const Chain& chain : config_.chains) blocks += static_cast<int>(chain.dilations.size());
  int total = 0;
  for (const Stage& stage : config_.stages) {
    total += stage.inputs + blocks * (stage.outputs + (config_.paired ? stage.hidden : 0));
  }
  ActivationList list(seen, total);
  std::vector<StageActivations> stages;
  for (std::size_t k = 0; k < config_.stages.size(); ++k) {
    const std::string name = "stage." + std::to_string(k);
    const int channels = config_.stages[k].outputs;
    StageActivations stage{list.layer(name + ".up", config_.stages[k].inputs), {}};
    for (std::size_t j = 0; j < config_.chains.size(); ++j) {
      const std::string chain = name + ".chain." + std::to_string(j) + ".block.";
      std::vector<BlockActivations> blocks;
      for (std::size_t i = 0; i < config_.chains[j].dilations.size(); ++i) {
        const std::string block = chain + std::to_string(i);
        BlockActivations layers;
        layers.first = list.layer(block + ".first", channels);
        if (config_.paired) layers.second = list.layer(block + ".second", config_.stages[k].hidden);
        blocks.push_back(layers);
      }
      stage.chains.push_back(std::move(blocks));
    }
    stages.push_back(std::move(stage));
  }
  return stages;
}

VocoderInfo describe(const Config& c) { return describe_conv("hifigan", c); }

}  // namespace

Result<std::unique_ptr<Vocoder>> load(const io::Gguf& file, const kernels::KernelTable& kernels) {
  return load_model<Hifigan>(file, kernels, read_config, load_weights, describe);
}

}  // namespace pyvoc::models::hifigan
