#include "models/hifigan/weights.h"

#include <algorithm>

#include "models/weight_loader.h"

namespace pyvoc::models::hifigan {
namespace {

class Loader final : public LoaderOf<Config, Weights> {
 public:
  using LoaderOf::LoaderOf;

 private:
  struct BlockSource {
    nn::ConvSource first, second;
  };
  struct StageSource {
    nn::ConvSource up;
    std::vector<std::vector<BlockSource>> chains;
  };

  void gather() override {
    mean_ = tensors_.optional_f32("input.mean", {size(c_.bands)});
    scale_ = tensors_.optional_f32("input.scale", {size(c_.bands)});
    conv_in_ = conv("conv_in", c_.channels, c_.bands, kEdgeTaps, kFloats);
    for (std::size_t k = 0; k < c_.stages.size(); ++k) {
      const Stage& stage = c_.stages[k];
      const std::string name = "stage." + std::to_string(k);
      StageSource source;
      source.up = conv(name + ".up", stage.outputs, stage.inputs, stage.taps, kFloatsOrInt8, true);
      count(source.up);
      for (std::size_t j = 0; j < c_.chains.size(); ++j) {
        const std::string chain = name + ".chain." + std::to_string(j) + ".block.";
        const int n = stage.outputs, hidden = stage.hidden, taps = c_.chains[j].taps;
        std::vector<BlockSource> blocks(c_.chains[j].dilations.size());
        for (std::size_t i = 0; i < blocks.size(); ++i) {
          const std::string block = chain + std::to_string(i);
          blocks[i].first = conv(block + ".first", hidden, n, taps, kFloatsOrInt8);
          count(blocks[i].first);
          if (!c_.paired) continue;
          blocks[i].second = conv(block + ".second", n, hidden, taps, kFloatsOrInt8);
          count(blocks[i].second);
        }
        source.chains.push_back(std::move(blocks));
      }
      stages_.push_back(std::move(source));
    }
    w_.integer = any_int8();
    conv_out_ = conv("conv_out", 1, c_.stages.back().outputs, kEdgeTaps, kFloats);
  }

  void pack() override {
    float* mean = arena_.allocate<float>(size(c_.bands));
    float* scale = arena_.allocate<float>(size(c_.bands));
    for (int b = 0; b < c_.bands; ++b) {
      mean[b] = mean_ == nullptr ? 0.0f : mean_[b];
      scale[b] = scale_ == nullptr ? 1.0f : scale_[b];
    }
    w_.mean = mean;
    w_.scale = scale;
    w_.conv_in = list_conv("conv_in", nn::Conv::pack({conv_in_}, kernels_, arena_));
    for (std::size_t k = 0; status_.ok() && k < stages_.size(); ++k) {
      const StageSource& source = stages_[k];
      const std::string name = "stage." + std::to_string(k);
      StageWeights stage;
      stage.up = list_conv(name + ".up", nn::Conv::pack_transposed(source.up, c_.stages[k].ratio,
                                                                   c_.narrow(k), kernels_, arena_));
      stage.up_input = make_quantization(source.up, 1, arena_);
      for (std::size_t j = 0; j < source.chains.size(); ++j) {
        const std::string chain = name + ".chain." + std::to_string(j) + ".block.";
        std::vector<Block> blocks(source.chains[j].size());
        for (std::size_t i = 0; status_.ok() && i < blocks.size(); ++i) {
          const BlockSource& b = source.chains[j][i];
          const std::string block = chain + std::to_string(i);
          pack_layer(block + ".first", b.first, c_.chains[j].dilations[i], c_.grid(k, j, i, false),
                     c_.narrow(k), blocks[i].first);
          if (!c_.paired) continue;
          pack_layer(block + ".second", b.second, 1, c_.grid(k, j, i, true), c_.narrow(k),
                     blocks[i].second);
        }
        stage.chains.push_back(std::move(blocks));
      }
      w_.stages.push_back(std::move(stage));
      tensors_.forget(source.up);
    }
    w_.conv_out = pack_last(conv_out_, c_.width(c_.stages.size() - 1), arena_, plan_);
  }

  void pack_layer(const std::string& name, const nn::ConvSource& source, int dilation,
                  const nn::RowGrid& grid, bool narrow, Layer& layer) {
    layer.conv = take(nn::DilatedConv::pack(source, dilation, grid, narrow, kernels_, arena_));
    list(name, layer.conv.direct(), layer.conv.tiled() ? "conv_winograd" : nullptr);
    layer.input = make_quantization(source, narrow ? 2 : 1, arena_, narrow);
    tensors_.forget(source);
  }

  const float *mean_ = nullptr, *scale_ = nullptr;
  nn::ConvSource conv_in_, conv_out_;
  std::vector<StageSource> stages_;
};

}  // namespace

Status load_weights(const io::Gguf& file, const Config& config, const kernels::KernelTable& kernels,
                    Weights& weights) {
  return Loader(file, config, kernels, weights).run();
}

}  // namespace pyvoc::models::hifigan
