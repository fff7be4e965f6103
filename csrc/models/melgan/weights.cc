#include "models/melgan/weights.h"

#include <algorithm>

#include "models/weight_loader.h"

namespace pyvoc::models::melgan {
namespace {

using Type = backends::Weights;

class Loader final : public LoaderOf<Config, Weights> {
 public:
  using LoaderOf::LoaderOf;

 private:
  struct BlockSource {
    nn::ConvSource conv, out, shortcut;
  };
  struct StageSource {
    nn::ConvSource up;
    std::vector<BlockSource> blocks;
  };

  void gather() override {
    conv_in_ = conv("conv_in", c_.channels, c_.bands, kEdgeTaps, kFloats);
    for (std::size_t k = 0; k < c_.stages.size(); ++k) {
      const Stage& stage = c_.stages[k];
      const std::string name = "stage." + std::to_string(k);
      StageSource source;
      source.up =
          conv(name + ".up", stage.outputs, stage.inputs, 2 * stage.ratio, kFloatsOrInt8, true);
      count(source.up);
      for (std::size_t j = 0; j < c_.dilations.size(); ++j) {
        const std::string block = name + ".block." + std::to_string(j);
        const int n = stage.outputs;
        BlockSource b;
        b.conv = conv(block + ".conv", n, n, kBlockTaps, kFloatsOrInt8);
        b.out = conv(block + ".out", n, n, 1, kFloatsOrInt8);
        b.shortcut = conv(block + ".shortcut", n, n, 1, kFloatsOrInt8);
        for (const nn::ConvSource* layer : {&b.conv, &b.out, &b.shortcut}) count(*layer);
        check_sum(block, b);
        source.blocks.push_back(b);
      }
      stages_.push_back(source);
    }
    w_.integer = any_int8();
    conv_out_ = conv("conv_out", 1, c_.stages.back().outputs, kEdgeTaps, kFloats);
  }

  // Both products of a block go into one sum, which needs one unit and one type.
  void check_sum(const std::string& block, const BlockSource& b) {
    if (b.out.data == nullptr || b.shortcut.data == nullptr) return;
    if (b.out.type != b.shortcut.type) {
      tensors_.problem("tensors " + block + ".out.weight and .shortcut.weight differ in type");
      return;
    }
    if (b.out.scale == nullptr || b.shortcut.scale == nullptr) return;
    if (!std::equal(b.out.scale, b.out.scale + b.out.outputs, b.shortcut.scale)) {
      tensors_.problem("tensors " + block +
                       ".out.weight and .shortcut.weight have sums in different units");
    }
  }

  void pack() override {
    w_.conv_in = list_conv("conv_in", nn::Conv::pack({conv_in_}, kernels_, arena_));
    for (std::size_t k = 0; status_.ok() && k < stages_.size(); ++k) {
      const StageSource& source = stages_[k];
      const std::string name = "stage." + std::to_string(k);
      StageWeights stage;
      stage.up = list_conv(name + ".up", nn::Conv::pack_transposed(source.up, c_.stages[k].ratio,
                                                                   false, kernels_, arena_));
      stage.up_input = make_quantization(source.up, 1, arena_);
      for (std::size_t j = 0; status_.ok() && j < source.blocks.size(); ++j) {
        const BlockSource& b = source.blocks[j];
        const std::string block_name = name + ".block." + std::to_string(j);
        Block block;
        block.conv = take(
            nn::DilatedConv::pack(b.conv, c_.dilations[j], c_.grid(k, j), false, kernels_, arena_));
        list(block_name + ".conv", block.conv.direct(),
             block.conv.tiled() ? "conv_winograd" : nullptr);
        block.mix = list_conv(block_name + ".out+shortcut",
                              nn::Conv::pack({b.out, b.shortcut}, kernels_, arena_));
        const int repeats = j == 0 ? c_.stages[k].ratio : 1;
        block.conv_input = make_quantization(b.conv, repeats, arena_);
        block.out_input = make_quantization(b.out, 1, arena_);
        block.shortcut_input = make_quantization(b.shortcut, repeats, arena_);
        stage.blocks.push_back(block);
        for (const nn::ConvSource* layer : {&b.conv, &b.out, &b.shortcut}) tensors_.forget(*layer);
      }
      w_.stages.push_back(std::move(stage));
      tensors_.forget(source.up);
    }
    w_.conv_out = pack_last(conv_out_, nn::padded(conv_out_.inputs), arena_, plan_);
  }

  nn::ConvSource conv_in_, conv_out_;
  std::vector<StageSource> stages_;
};

}  // namespace

Status load_weights(const io::Gguf& file, const Config& config, const kernels::KernelTable& kernels,
                    Weights& weights) {
  return Loader(file, config, kernels, weights).run();
}

}  // namespace pyvoc::models::melgan
