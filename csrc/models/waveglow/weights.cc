#include "models/waveglow/weights.h"

#include <algorithm>

#include "models/waveglow/determinant.h"
#include "models/weight_loader.h"

namespace pyvoc::models::waveglow {
namespace {

using Type = backends::Weights;

class Loader final : public LoaderOf<Config, Weights> {
 public:
  using LoaderOf::LoaderOf;

 private:
  struct LayerSource {
    nn::ConvSource conv, cond, out;
  };
  struct FlowSource {
    nn::ConvSource start, end, mix, unmix;
    std::vector<LayerSource> layers;
  };
  // A float matrix that is made here.
  struct Made {
    std::vector<float> weights, bias;
    nn::ConvSource source;

    Made(int outputs, int inputs) : weights(size(outputs) * size(inputs)), bias(size(outputs)) {
      source.outputs = outputs;
      source.inputs = inputs;
      source.data = weights.data();
      source.bias = bias.data();
    }
    Made(const Made&) = delete;
    Made& operator=(const Made&) = delete;
    float& at(int output, int input) { return weights[size(output * source.inputs + input)]; }
  };

  // Input band * groups + phase of the file is tap `phase` of input `band` here.
  nn::ConvSource conditioning(const std::string& name) {
    nn::ConvSource source;
    source.outputs = 2 * c_.hidden;
    source.inputs = c_.bands;
    source.taps = c_.groups;
    source.zero_per_tap = true;
    read_weights(tensors_, name + ".weight", {size(2 * c_.hidden), size(c_.bands * c_.groups), 1},
                 kFloatsOrInt8, source);
    source.bias = tensors_.f32(name + ".bias", {size(2 * c_.hidden)});
    return source;
  }

  nn::ConvSource square(const std::string& name, int channels) {
    nn::ConvSource source;
    source.outputs = source.inputs = channels;
    source.data = tensors_.f32(name, {size(channels), size(channels)});
    return source;
  }

  void gather() override {
    const int n = c_.hidden;
    const int taps = c_.history * c_.hop_length;
    upsample_ = c_.apart ? conv("upsample", c_.bands, 1, taps, kFloats)
                         : conv("upsample", c_.bands, c_.bands, taps, kFloats, true);
    for (int k = 0; k < c_.flows(); ++k) {
      const std::string name = "flow." + std::to_string(k);
      const int channels = c_.channels[size(k)];
      FlowSource flow;
      flow.mix = square(name + ".mix.weight", channels);
      flow.unmix = square(name + ".unmix.weight", channels);
      flow.start = conv(name + ".start", n, channels / 2, 1, kFloat32);
      for (int i = 0; i < c_.layers; ++i) {
        const std::string layer = name + ".layer." + std::to_string(i);
        LayerSource source;
        source.conv = conv(layer + ".conv", 2 * n, n, kTaps, kFloatsOrInt8);
        source.cond = conditioning(layer + ".cond");
        source.out = conv(layer + ".out", i + 1 < c_.layers ? 2 * n : n, n, 1, kFloatsOrInt8);
        check_layer(layer, source);
        flow.layers.push_back(source);
      }
      flow.end = conv(name + ".end", channels, n, 1, kFloat32);
      flows_.push_back(std::move(flow));
    }
    w_.integer = count_int8("within the flows");
  }

  // Both products go into one sum, which needs one unit and one type; all conditioning reads the
  // same bytes.
  void check_layer(const std::string& name, const LayerSource& layer) {
    const nn::ConvSource &conv = layer.conv, &cond = layer.cond;
    for (const nn::ConvSource* source : {&conv, &cond, &layer.out}) count(*source);
    if (conv.data != nullptr && cond.data != nullptr && conv.type != cond.type) {
      tensors_.problem("tensors " + name + ".conv.weight and .cond.weight differ in type");
    }
    if (conv.input_zero == nullptr || cond.input_zero == nullptr) return;
    if (!std::equal(conv.scale, conv.scale + conv.outputs, cond.scale)) {
      tensors_.problem("tensors " + name +
                       ".conv.weight and .cond.weight have sums in different units");
    }
    if (condition_.input_zero == nullptr) condition_ = cond;
    const std::ptrdiff_t entries = std::ptrdiff_t{2} * c_.bands * c_.groups;
    const float* first = input_scales(condition_);
    if (!std::equal(first, first + entries, input_scales(cond))) {
      tensors_.problem("tensor " + name + ".cond.weight.input is another than that of the first " +
                       "layer: all layers read the same bytes");
    }
  }

  void pack() override {
    pack_upsample();
    w_.condition = make_quantization(condition_, c_.hop_length, arena_);
    for (int k = 0; status_.ok() && k < c_.flows(); ++k) pack_flow(k);
  }

  void pack_upsample() {
    if (!c_.apart) {
      const nn::Conv joint = list_conv(
          "upsample", nn::Conv::pack_transposed(upsample_, c_.hop_length, false, kernels_, arena_));
      w_.upsample = Upsampling(joint, c_);
      return;
    }
    w_.upsample = Upsampling(upsample_, c_, kernels_, arena_);
    plan_.push_back({"upsample", "bands", backends::weights_name(upsample_.type), "native",
                     c_.hop_length * nn::padded(c_.bands), c_.history});
  }

  nn::Conv pack_conv(const std::string& name, const nn::ConvSource& source) {
    return list_conv(name, nn::Conv::pack({source}, kernels_, arena_));
  }

  void pack_flow(int k) {
    const FlowSource& source = flows_[size(k)];
    const std::string name = "flow." + std::to_string(k);
    const int channels = c_.channels[size(k)];
    FlowWeights flow;
    Made start(c_.hidden, channels);
    const int first = c_.swapped(k) ? channels / 2 : 0;
    for (int o = 0; o < c_.hidden; ++o) {
      start.bias[size(o)] = source.start.bias[o];
      for (int i = 0; i < channels / 2; ++i) start.at(o, first + i) = source.start.at(o, i, 0);
    }
    flow.start = pack_conv(name + ".start", start.source);
    for (int i = 0; status_.ok() && i < c_.layers; ++i) {
      const LayerSource& l = source.layers[size(i)];
      const std::string layer_name = name + ".layer." + std::to_string(i);
      Layer layer;
      layer.gate = take(nn::GatedConv::pack(l.conv, l.cond, 1 << i, kernels_, arena_));
      list(layer_name + ".conv+cond", layer.gate.conv(),
           layer.gate.paired() ? "conv_gated_pairs" : "conv_gated");
      if (status_.ok() && i + 1 < c_.layers) {
        nn::ConvSource residual = l.out;  // the first half of its outputs
        residual.outputs = c_.hidden;
        layer.residual = pack_conv(layer_name + ".out", residual);
      }
      if (status_.ok()) pack_skip(source, i, layer_name + ".out*end", layer);
      layer.input = make_quantization(l.conv, 1, arena_);
      layer.gated = make_quantization(l.out, 1, arena_);
      flow.layers.push_back(layer);
      for (const nn::ConvSource* packed : {&l.conv, &l.cond, &l.out}) tensors_.forget(*packed);
    }
    if (!status_.ok()) return;
    const int joining = c_.outputs(k) - channels;
    Made unmix(c_.outputs(k), channels);
    for (int o = 0; o < channels; ++o) {
      for (int i = 0; i < channels; ++i) unmix.at(joining + o, i) = source.unmix.at(o, i, 0);
    }
    flow.unmix = pack_conv(name + ".unmix", unmix.source);
    pack_mix(source.mix, joining, flow);
    w_.flows.push_back(std::move(flow));
  }

  // Not of the plan, which is that of synthesis.
  void pack_mix(const nn::ConvSource& source, int leaving, FlowWeights& flow) {
    const int channels = source.outputs;
    Made mix(channels, leaving + channels);
    std::vector<double> matrix;
    for (int o = 0; o < channels; ++o) {
      for (int i = 0; i < channels; ++i) {
        mix.at(o, leaving + i) = source.at(o, i, 0);
        matrix.push_back(static_cast<double>(source.at(o, i, 0)));
      }
    }
    flow.log_det = log_determinant(std::move(matrix), channels);
    flow.mix = take(nn::Conv::pack({mix.source}, kernels_, arena_));
  }

  // `end` times the layer's part of the sum; the first layer's bias has that of `end` in it.
  void pack_skip(const FlowSource& flow, int i, const std::string& name, Layer& layer) {
    const nn::ConvSource &out = flow.layers[size(i)].out, &end = flow.end;
    const int first = out.outputs - c_.hidden;
    Made skip(end.outputs, c_.hidden);
    std::vector<double> row(size(c_.hidden));
    for (int o = 0; o < end.outputs; ++o) {
      std::fill(row.begin(), row.end(), 0.0);
      double bias = i == 0 ? static_cast<double>(end.bias[o]) : 0.0;
      for (int s = 0; s < c_.hidden; ++s) {
        const double factor = static_cast<double>(end.at(o, s, 0));
        bias += factor * static_cast<double>(out.bias[first + s]);
        add_row(out, first + s, factor, row);
      }
      for (int j = 0; out.type == Type::kI8 && j < c_.hidden; ++j) {
        row[size(j)] /= static_cast<double>(input_scales(out)[j]);
      }
      skip.bias[size(o)] = static_cast<float>(bias);
      for (int j = 0; j < c_.hidden; ++j) skip.at(o, j) = static_cast<float>(row[size(j)]);
    }
    layer.skip = pack_conv(name, skip.source);
  }

  // Adds a row of a 1 x 1 convolution; of an int8 one what is still to be divided by the scales of
  // its inputs.
  static void add_row(const nn::ConvSource& source, int output, double factor,
                      std::vector<double>& row) {
    const auto n = row.size();
    if (source.type != Type::kI8) {
      for (std::size_t j = 0; j < n; ++j) {
        row[j] += factor * static_cast<double>(source.at(output, static_cast<int>(j), 0));
      }
      return;
    }
    const auto* q = static_cast<const std::int8_t*>(source.data) + size(output) * n;
    factor *= static_cast<double>(source.scale[output]);
    for (std::size_t j = 0; j < n; ++j) row[j] += factor * q[j];
  }

  nn::ConvSource upsample_, condition_;
  std::vector<FlowSource> flows_;
};

}  // namespace

Status load_weights(const io::Gguf& file, const Config& config, const kernels::KernelTable& kernels,
                    Weights& weights) {
  return Loader(file, config, kernels, weights).run();
}

}  // namespace pyvoc::models::waveglow
