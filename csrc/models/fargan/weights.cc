#include "models/fargan/weights.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "models/weight_loader.h"

namespace pyvoc::models::fargan {
namespace {

class Loader final : public LoaderOf<Config, Weights> {
 public:
  using LoaderOf::LoaderOf;

 private:
  struct Gru {
    nn::LinearSource input, recurrent, gate;
  };
  struct Biased {
    nn::LinearSource matrix;
    const float* bias = nullptr;
  };

  nn::LinearSource floats(const std::string& name, int rows, int cols, bool bf16 = false) {
    nn::LinearSource source;
    source.rows = rows;
    source.cols = cols;
    if (bf16) return tensors_.matrix(name, rows, cols, 1, false);
    source.data = tensors_.f32(name, {size(rows), size(cols)});
    return source;
  }

  nn::LinearSource matrix(const std::string& name, int rows, int cols, int gates = 1) {
    const nn::LinearSource source = tensors_.matrix(name, rows, cols, gates, false, Scales::kAny);
    count(source);
    return source;
  }

  void gather() override {
    const int f = c_.fwc, k = c_.skip;
    embed_pitch_ = tensors_.f32("embed_pitch.weight", {size(kPeriods), size(c_.pitch_dims)});
    dense1_ = floats("cond.dense1.weight", c_.cond1, kFeatures + c_.pitch_dims);
    conv_ = matrix("cond.conv.weight", c_.cond2, kTaps * c_.cond1);
    dense2_ = matrix("cond.dense2.weight", kSubframes * c_.cond, c_.cond2);
    gain_ = floats("gain.weight", 1, c_.cond);
    gain_bias_ = tensors_.f32("gain.bias", {1});
    pitch_gates_ = floats("pitch_gates.weight", kGates, f);
    pitch_gates_bias_ = tensors_.f32("pitch_gates.bias", {size(kGates)});
    fwc_ = matrix("fwc.weight", f, 2 * c_.subframe_inputs());
    fwc_gate_ = matrix("fwc.gate.weight", f, f);
    for (int i = 0; i < kGrus; ++i) {
      const std::string name = "gru" + std::to_string(i + 1);
      const int n = c_.gru[i];
      gru_[i] = {matrix(name + ".weight_ih", 3 * n, c_.gru_inputs(i), 3),
                 matrix(name + ".weight_hh", 3 * n, n, 3), matrix(name + ".gate.weight", n, n)};
    }
    skip_ = matrix("skip.weight", k, c_.skip_inputs());
    skip_gate_ = matrix("skip.gate.weight", k, k);
    if (c_.pitch) gather_pitch(*c_.pitch);
    w_.integer = count_int8("of the network");
    out_ = floats("out.weight", kSubframe, k, true);
  }

  Biased biased(const std::string& name, int rows, int cols) {
    return {matrix(name + ".weight", rows, cols), tensors_.f32(name + ".bias", {size(rows)})};
  }

  void gather_pitch(const PitchSizes& p) {
    constexpr std::size_t kTaps = dsp::kPitchTaps;
    const int n = 3 * p.gru;
    phases1_ = biased("pitch.phases1", p.phases1, dsp::kPhaseFeatures);
    phases2_ = biased("pitch.phases2", p.phases2, p.phases1);
    conv1_ = tensors_.f32("pitch.conv1.weight", {size(p.channels), 1, kTaps, kTaps});
    conv1_bias_ = tensors_.f32("pitch.conv1.bias", {size(p.channels)});
    conv2_ = tensors_.f32("pitch.conv2.weight", {1, size(p.channels), kTaps, kTaps});
    conv2_bias_ = tensors_.f32("pitch.conv2.bias", {1});
    down_ = biased("pitch.down", p.down, dsp::kPitchLags + p.phases2);
    pitch_input_ = matrix("pitch.gru.weight_ih", n, p.down, 3);
    pitch_gru_.recurrent = matrix("pitch.gru.weight_hh", n, p.gru, 3);
    pitch_gru_.bias_ih = tensors_.f32("pitch.gru.bias_ih", {size(n)});
    pitch_gru_.bias_hh = tensors_.f32("pitch.gru.bias_hh", {size(n)});
    classes_ = biased("pitch.out", dsp::kPitchClasses, p.gru);
  }

  // A layer whose bias is `bias` [outputs], or 0, and what its int8 product needs.
  DenseLayer dense(const std::string& name, const nn::LinearSource& source,
                   const float* bias = nullptr) {
    const nn::Linear linear = pack_linear(name, source);
    float* sum = arena_.allocate<float>(size(linear.outputs()));
    for (int i = 0; i < linear.outputs(); ++i) {
      sum[i] = (bias == nullptr ? 0.0f : bias[i]) +
               (linear.offset() == nullptr ? 0.0f : linear.offset()[i]);
    }
    return {linear, sum};
  }

  void pack() override {
    float* embed = arena_.allocate<float>(size(kPeriods * c_.pitch_dims));
    std::memcpy(embed, embed_pitch_, sizeof(float) * size(kPeriods * c_.pitch_dims));
    w_.embed_pitch = embed;
    w_.dense1 = dense("cond.dense1", dense1_);
    w_.conv = dense("cond.conv", conv_);
    w_.dense2 = dense("cond.dense2", dense2_);
    w_.gain = dense("gain", gain_, pack_floats(gain_bias_, 1));
    w_.pitch_gates = dense("pitch_gates", pitch_gates_, pack_floats(pitch_gates_bias_, kGates));
    w_.fwc.layer = dense("fwc", fwc_);
    w_.fwc.gate = dense("fwc.gate", fwc_gate_);
    for (int i = 0; i < kGrus; ++i) {
      const std::string name = "gru" + std::to_string(i + 1);
      const std::vector<float> zeros(size(3 * c_.gru[i]));
      nn::GruSource source;
      source.recurrent = gru_[i].recurrent;
      source.bias_hh = source.bias_ih = zeros.data();
      w_.gru[i].gru = pack_gru(name + ".hidden", source);
      if (!status_.ok()) return;
      w_.gru[i].input = dense(name + ".input", gru_[i].input, w_.gru[i].gru.input_bias());
      w_.gru[i].gate = dense(name + ".gate", gru_[i].gate);
    }
    w_.skip.layer = dense("skip", skip_);
    w_.skip.gate = dense("skip.gate", skip_gate_);
    w_.out = dense("out", out_);
    if (c_.pitch) pack_pitch(c_.pitch->channels);
  }

  DenseLayer dense(const std::string& name, const Biased& layer) {
    return dense(name, layer.matrix, pack_floats(layer.bias, layer.matrix.rows));
  }

  // A convolution's weights with its biases behind them.
  const float* pack_conv(const float* weights, int n, const float* biases, int outputs) {
    float* to = arena_.allocate<float>(size(n + outputs));
    std::memcpy(to, weights, sizeof(float) * size(n));
    std::memcpy(to + n, biases, sizeof(float) * size(outputs));
    return to;
  }

  void pack_pitch(int channels) {
    const int weights = dsp::kPitchTaps * dsp::kPitchTaps * channels;
    dsp::PitchNetwork net;
    net.phases1 = dense("pitch.phases1", phases1_);
    net.phases2 = dense("pitch.phases2", phases2_);
    net.channels = channels;
    net.conv1 = pack_conv(conv1_, weights, conv1_bias_, channels);
    net.conv2 = pack_conv(conv2_, weights, conv2_bias_, 1);
    net.down = dense("pitch.down", down_);
    net.gru = pack_gru("pitch.gru.hidden", pitch_gru_);
    if (!status_.ok()) return;
    net.input = dense("pitch.gru.input", pitch_input_, net.gru.input_bias());
    net.out = dense("pitch.out", classes_);
    w_.pitch = net;
  }

  const float* embed_pitch_ = nullptr;
  nn::LinearSource dense1_, conv_, dense2_, gain_, pitch_gates_, fwc_, fwc_gate_, skip_, skip_gate_,
      out_;
  const float *gain_bias_ = nullptr, *pitch_gates_bias_ = nullptr;
  Gru gru_[kGrus];
  Biased phases1_, phases2_, down_, classes_;
  const float *conv1_ = nullptr, *conv1_bias_ = nullptr;
  const float *conv2_ = nullptr, *conv2_bias_ = nullptr;
  nn::LinearSource pitch_input_;
  nn::GruSource pitch_gru_;
};

}  // namespace

Status load_weights(const io::Gguf& file, const Config& config, const kernels::KernelTable& kernels,
                    Weights& weights) {
  return Loader(file, config, kernels, weights).run();
}

}  // namespace pyvoc::models::fargan
