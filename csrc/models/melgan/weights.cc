#include "models/melgan/weights.h"

#include <algorithm>
#include <cmath>

#include "models/tensors.h"

namespace pyvoc::models::melgan {
namespace {

using io::TensorType;
using Type = backends::Weights;

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
                      bool int8) {
    nn::ConvSource source;
    source.outputs = outputs;
    source.inputs = inputs;
    source.taps = taps;
    source.transposed = transposed;
    const std::string weight = name + ".weight";
    const std::vector<std::size_t> shape =
        transposed ? std::vector<std::size_t>{size(inputs), size(outputs), size(taps)}
                   : std::vector<std::size_t>{size(outputs), size(inputs), size(taps)};
    const io::Tensor* t =
        int8 ? tensors_.any(weight, shape, {TensorType::kF32, TensorType::kBf16, TensorType::kI8})
             : tensors_.any(weight, shape, {TensorType::kF32, TensorType::kBf16});
    source.bias = tensors_.f32(name + ".bias", {size(outputs)});
    if (t == nullptr) return source;
    source.data = t->data;
    source.type = t->type == TensorType::kF32    ? Type::kF32
                  : t->type == TensorType::kBf16 ? Type::kBf16
                                                 : Type::kI8;
    if (source.type == Type::kI8) read_int8(weight, *t, source);
    return source;
  }

  void read_int8(const std::string& weight, const io::Tensor& tensor, nn::ConvSource& source) {
    const auto* q = reinterpret_cast<const std::int8_t*>(tensor.data);
    if (std::find(q, q + tensor.elements, std::int8_t{-128}) != q + tensor.elements) {
      tensors_.problem("tensor " + weight + " has the int8 value -128, expected -127 to 127");
    }
    source.scale = tensors_.f32(weight + ".scale", {size(source.outputs)});
    const float* input = tensors_.f32(weight + ".input", {2, size(source.inputs)});
    if (source.scale == nullptr || input == nullptr) return;
    for (int o = 0; o < source.outputs; ++o) {
      if (!(source.scale[o] > 0.0f)) {
        tensors_.problem("tensor " + weight + ".scale has values that are not positive");
        break;
      }
    }
    for (int i = 0; i < source.inputs; ++i) {
      const float step = input[i], zero = input[source.inputs + i];
      const bool whole = zero >= 0.0f && zero <= 254.0f && std::floor(zero) == zero;
      if (!(step > 0.0f && std::isfinite(1.0f / step)) || !whole) {
        tensors_.problem("tensor " + weight +
                         ".input is not positive scales and whole numbers within 0..254");
        return;
      }
    }
    source.input_zero = input + source.inputs;
  }

  void gather() {
    conv_in_ = conv("conv_in", c_.channels, c_.bands, kEdgeTaps, false, false);
    std::size_t integers = 0, layers = 0;
    const auto count = [&](const nn::ConvSource& source) {
      ++layers;
      if (source.data != nullptr && source.type == Type::kI8) ++integers;
    };
    for (std::size_t k = 0; k < c_.stages.size(); ++k) {
      const Stage& stage = c_.stages[k];
      const std::string name = "stage." + std::to_string(k);
      StageSource source;
      source.up = conv(name + ".up", stage.outputs, stage.inputs, 2 * stage.ratio, true, true);
      count(source.up);
      for (std::size_t j = 0; j < c_.dilations.size(); ++j) {
        const std::string block = name + ".block." + std::to_string(j);
        const int n = stage.outputs;
        BlockSource b;
        b.conv = conv(block + ".conv", n, n, kBlockTaps, false, true);
        b.out = conv(block + ".out", n, n, 1, false, true);
        b.shortcut = conv(block + ".shortcut", n, n, 1, false, true);
        count(b.conv);
        count(b.out);
        count(b.shortcut);
        check_sum(block, b);
        source.blocks.push_back(b);
      }
      stages_.push_back(source);
    }
    if (integers != 0 && integers != layers) {
      tensors_.problem(std::to_string(integers) + " of " + std::to_string(layers) +
                       " layers between conv_in and conv_out are I8, expected all or none");
    }
    w_.integer = integers != 0;
    conv_out_ = conv("conv_out", 1, c_.stages.back().outputs, kEdgeTaps, false, false);
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

  // As often as the layer before writes rows of channels side by side.
  Quantization quantization(const nn::ConvSource& source, int repeats) {
    if (source.input_zero == nullptr) return {};
    const float* step = source.input_zero - source.inputs;
    const int channels = nn::padded(source.inputs);
    float* inverse = w_.arena.allocate<float>(size(repeats) * size(channels));
    float* offset = w_.arena.allocate<float>(size(repeats) * size(channels));
    std::uint8_t* zero = w_.arena.allocate<std::uint8_t>(size(channels));
    for (int i = 0; i < repeats * channels; ++i) {
      const int c = i % channels;
      const float z = c < source.inputs ? source.input_zero[c] : 0.0f;
      inverse[i] = c < source.inputs ? 1.0f / step[c] : 0.0f;
      offset[i] = z - 127.0f;
      zero[c] = static_cast<std::uint8_t>(z);
    }
    return {inverse, offset, zero};
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
      stage.up_input = quantization(source.up, 1);
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
        block.conv_input = quantization(b.conv, repeats);
        block.out_input = quantization(b.out, 1);
        block.shortcut_input = quantization(b.shortcut, repeats);
        stage.blocks.push_back(block);
      }
      w_.stages.push_back(std::move(stage));
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
