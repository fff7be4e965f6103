// MelGAN (Kumar et al., 2019): the generators of seungwonpark/melgan, descriptinc/melgan-neurips
// and MindSpore's model zoo.
#include "models/melgan/generator.h"

namespace pyvoc::models::melgan {
namespace {

class Melgan final : public ConvVocoder<Config, Weights, Generator> {
 public:
  using ConvVocoder::ConvVocoder;

 private:
  std::vector<StageActivations> list_layers(std::vector<Activations>& seen) const override;
};

std::vector<StageActivations> Melgan::list_layers(std::vector<Activations>& seen) const {
  const std::size_t blocks = config_.dilations.size();
  int total = 0;
  for (const Stage& stage : config_.stages) {
    total += stage.inputs + 3 * static_cast<int>(blocks) * stage.outputs;
  }
  ActivationList list(seen, total);
  std::vector<StageActivations> stages;
  for (std::size_t k = 0; k < config_.stages.size(); ++k) {
    const std::string name = "stage." + std::to_string(k);
    const int channels = config_.stages[k].outputs;
    StageActivations stage{list.layer(name + ".up", config_.stages[k].inputs), {}};
    for (std::size_t j = 0; j < blocks; ++j) {
      const std::string block = name + ".block." + std::to_string(j);
      Activations* conv = list.layer(block + ".conv", channels);
      Activations* out = list.layer(block + ".out", channels);
      stage.blocks.push_back({conv, out, list.layer(block + ".shortcut", channels)});
    }
    stages.push_back(std::move(stage));
  }
  return stages;
}

VocoderInfo describe(const Config& c) { return describe_conv("melgan", c); }

}  // namespace

Result<std::unique_ptr<Vocoder>> load(const io::Gguf& file, const kernels::KernelTable& kernels) {
  return load_model<Melgan>(file, kernels, read_config, load_weights, describe);
}

}  // namespace pyvoc::models::melgan
