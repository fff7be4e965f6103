#include "models/melgan/weights.h"

#include <algorithm>

#include "models/tensors.h"

namespace pyvoc::models::melgan {
namespace {

using io::TensorType;
using Type = backends::Weights;

constexpr std::initializer_list<TensorType> kFloat = {TensorType::kF32, TensorType::kBf16};
constexpr std::initializer_list<TensorType> kAny = {TensorType::kF32, TensorType::kBf16,
                                                    TensorType::kI8};

std::size_t size(int n) { return static_cast<std::size_t>(n); }

// Validates first, packs second: nothing is packed unless every tensor is as it should be.
class Loader {
 public:
  Loader(const io::Gguf& file, const Config& config, const kernels::KernelTable& kernels,
         Weights& weights)
      : c_(config), kernels_(kernels), w_(weights), tensors_(file) {}

  Status run() {
    gather();
    Status status = tensors_.finish();
    if (!status.ok()) return status;
    return pack();
  }

 private:
  struct BlockSource {
    nn::ConvSource conv, out, shortcut;
  };
  struct StageSource {
    nn::ConvSource up;
    std::vector<BlockSource> blocks;
  };

  nn::ConvSource conv(const std::string& name, int outputs, int inputs, int taps, bool transposed,
                      std::initializer_list<TensorType> types) {
    nn::ConvSource source;
    source.outputs = outputs;
    source.inputs = inputs;
    source.taps = taps;
    source.transposed = transposed;
    const std::vector<std::size_t> shape =
        transposed ? std::vector<std::size_t>{size(inputs), size(outputs), size(taps)}
                   : std::vector<std::size_t>{size(outputs), size(inputs), size(taps)};
    read_weights(tensors_, name + ".weight", shape, types, source);
    source.bias = tensors_.f32(name + ".bias", {size(outputs)});
    return source;
  }

  void gather() {
    conv_in_ = conv("conv_in", c_.channels, c_.bands, kEdgeTaps, false, kFloat);
    std::size_t integers = 0, layers = 0;
    const auto count = [&](const nn::ConvSource& source) {
      ++layers;
      if (source.data != nullptr && source.type == Type::kI8) ++integers;
    };
    for (std::size_t k = 0; k < c_.stages.size(); ++k) {
      const Stage& stage = c_.stages[k];
      const std::string name = "stage." + std::to_string(k);
      StageSource source;
      source.up = conv(name + ".up", stage.outputs, stage.inputs, 2 * stage.ratio, true, kAny);
      count(source.up);
      for (std::size_t j = 0; j < c_.dilations.size(); ++j) {
        const std::string block = name + ".block." + std::to_string(j);
        const int n = stage.outputs;
        BlockSource b;
        b.conv = conv(block + ".conv", n, n, kBlockTaps, false, kAny);
        b.out = conv(block + ".out", n, n, 1, false, kAny);
        b.shortcut = conv(block + ".shortcut", n, n, 1, false, kAny);
        count(b.conv);
        count(b.out);
        count(b.shortcut);
        check_sum(block, b);
        source.blocks.push_back(b);
      }
      stages_.push_back(source);
      tensors_.release();
    }
    if (integers != 0 && integers != layers) {
      tensors_.problem(std::to_string(integers) + " of " + std::to_string(layers) +
                       " layers between conv_in and conv_out are I8, expected all or none");
    }
    w_.integer = integers != 0;
    conv_out_ = conv("conv_out", 1, c_.stages.back().outputs, kEdgeTaps, false, kFloat);
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

  template <typename Layer>
  bool keep(const std::string& name, Result<Layer> packed, Layer& layer) {
    if (!packed.ok()) {
      status_ = packed.status();
      return false;
    }
    layer = packed.value();
    list(name, layer);
    return true;
  }

  void list(const std::string& name, const nn::Conv& conv) {
    const backends::MatVec& d = conv.description();
    w_.plan.push_back({name, backends::op_name(d.op), backends::weights_name(d.weights),
                       conv.backend(), d.rows, d.cols});
  }
  void list(const std::string& name, const nn::DilatedConv& conv) {
    list(name, conv.direct());
    if (conv.tiled()) w_.plan.back().op = "conv_winograd";
  }

  Status pack() {
    keep("conv_in", nn::Conv::pack({conv_in_}, kernels_, w_.arena), w_.conv_in);
    for (std::size_t k = 0; status_.ok() && k < stages_.size(); ++k) {
      const StageSource& source = stages_[k];
      const std::string name = "stage." + std::to_string(k);
      StageWeights stage;
      keep(name + ".up",
           nn::Conv::pack_transposed(source.up, c_.stages[k].ratio, kernels_, w_.arena), stage.up);
      stage.up_input = make_quantization(source.up, 1, w_.arena);
      for (std::size_t j = 0; status_.ok() && j < source.blocks.size(); ++j) {
        const BlockSource& b = source.blocks[j];
        const std::string block_name = name + ".block." + std::to_string(j);
        Block block;
        keep(block_name + ".conv",
             nn::DilatedConv::pack(b.conv, c_.dilations[j], c_.grid(k, j), kernels_, w_.arena),
             block.conv);
        keep(block_name + ".out+shortcut", nn::Conv::pack({b.out, b.shortcut}, kernels_, w_.arena),
             block.mix);
        const int repeats = j == 0 ? c_.stages[k].ratio : 1;
        block.conv_input = make_quantization(b.conv, repeats, w_.arena);
        block.out_input = make_quantization(b.out, 1, w_.arena);
        block.shortcut_input = make_quantization(b.shortcut, repeats, w_.arena);
        stage.blocks.push_back(block);
      }
      w_.stages.push_back(std::move(stage));
      tensors_.release();
    }
    pack_conv_out();
    return status_;
  }

  void pack_conv_out() {
    const int channels = nn::padded(conv_out_.inputs);
    float* weights = w_.arena.allocate<float>(size(kEdgeTaps) * size(channels));
    for (int i = 0; i < conv_out_.inputs; ++i) {
      for (int tap = 0; tap < kEdgeTaps; ++tap) {
        const std::size_t from = size(i) * kEdgeTaps + size(tap);
        weights[tap * channels + i] =
            conv_out_.type == Type::kF32
                ? static_cast<const float*>(conv_out_.data)[from]
                : kernels::bf16_to_float(static_cast<const std::uint16_t*>(conv_out_.data)[from]);
      }
    }
    w_.conv_out = weights;
    w_.conv_out_bias = conv_out_.bias[0];
    w_.plan.push_back({"conv_out", backends::op_name(backends::Op::kConv),
                       backends::weights_name(conv_out_.type), "native", 1, kEdgeTaps * channels});
  }

  const Config& c_;
  const kernels::KernelTable& kernels_;
  Weights& w_;
  Tensors tensors_;
  Status status_;
  nn::ConvSource conv_in_, conv_out_;
  std::vector<StageSource> stages_;
};

}  // namespace

Status load_weights(const io::Gguf& file, const Config& config, const kernels::KernelTable& kernels,
                    Weights& weights) {
  return Loader(file, config, kernels, weights).run();
}

}  // namespace pyvoc::models::melgan
