#include "models/wavernn/weights.h"

#include <cmath>
#include <cstring>

#include "models/weight_loader.h"

namespace pyvoc::models::wavernn {
namespace {

using nn::padded;

constexpr float kNever = -1e30f;  // a logit

class Loader final : public LoaderOf<Config, Weights> {
 public:
  using LoaderOf::LoaderOf;

 private:
  struct Input {  // what of a layer's inputs is known per frame, and the sample's column
    nn::LinearSource mel, aux;
    const float *sample = nullptr, *bias = nullptr;
  };

  nn::LinearSource float_matrix(const std::string& name, int rows, int cols, int gates) {
    return tensors_.matrix(name, rows, cols, gates, false, Scales::kNoIntegers);
  }

  Input input(const std::string& layer, int rows, int aux, int gates) {
    const std::string name = layer + ".input.";
    return {float_matrix(name + "mel", rows, c_.bands, gates),
            float_matrix(name + "aux", rows, aux, gates),
            tensors_.f32(name + "sample", {size(rows)}), tensors_.f32(name + "bias", {size(rows)})};
  }

  nn::LinearSource loop(const std::string& name, int rows, int cols, int gates, bool sparse = true,
                        bool int8 = true) {
    const nn::LinearSource source = tensors_.matrix(name, rows, cols, gates, sparse,
                                                    int8 ? Scales::kBf16 : Scales::kNoIntegers);
    if (int8) count(source);
    return source;
  }

  void gather() override {
    const int r = c_.rnn, f = c_.fc, d = c_.hidden, a = c_.aux;
    resnet_in_ = conv("resnet.in", d, c_.bands, c_.taps(), kFloats);
    for (int k = 0; k < c_.blocks; ++k) {
      const std::string name = "resnet." + std::to_string(k);
      blocks_.push_back({conv(name + ".a", d, d, 1, kFloats), conv(name + ".b", d, d, 1, kFloats)});
    }
    resnet_out_ = conv("resnet.out", 4 * a, d, 1, kFloats);
    for (std::size_t k = 0; k < c_.stretches.size(); ++k) {
      stretches_.push_back(tensors_.f32("upsample." + std::to_string(k) + ".weight",
                                        {size(2 * c_.stretches[k] + 1)}));
    }
    rnn1_ = input("rnn1", 3 * r, a, 3);
    rnn2_ = input("rnn2", 3 * r, 2 * a, 3);
    fc1_ = input("fc1", f, 2 * a, 1);
    fc2_aux_ = float_matrix("fc2.input.aux", f, a, 1);
    fc2_bias_ = tensors_.f32("fc2.input.bias", {size(f)});
    gru1_.recurrent = loop("rnn1.hidden.weight", 3 * r, r, 3);
    gru1_.bias_hh = tensors_.f32("rnn1.hidden.bias", {size(3 * r)});
    gru1_.bias_ih = rnn1_.bias;
    rnn2_input_ = loop("rnn2.input.weight", 3 * r, r, 3);
    gru2_.recurrent = loop("rnn2.hidden.weight", 3 * r, r, 3);
    gru2_.bias_hh = tensors_.f32("rnn2.hidden.bias", {size(3 * r)});
    gru2_.bias_ih = rnn2_.bias;
    fc1_loop_ = loop("fc1.weight", f, r, 1);
    fc2_loop_ = loop("fc2.weight", f, f, 1);
    const bool labels = c_.mode == Mode::kRaw;
    fc3_ = loop("fc3.weight", c_.outputs, f, 1, labels, labels);
    fc3_bias_ = tensors_.f32("fc3.bias", {size(c_.outputs)});
    count_int8("of the sample loop");
  }

  // Three gates, each padded, from the file's.
  void put_gates(const float* from, float* to) const {
    for (int gate = 0; gate < 3; ++gate) {
      std::memcpy(to + gate * padded(c_.rnn), from + gate * c_.rnn, sizeof(float) * size(c_.rnn));
    }
  }

  void pack_inputs() {
    w_.rnn2_at = 3 * padded(c_.rnn);
    w_.fc1_at = 2 * w_.rnn2_at;
    w_.inputs = w_.fc1_at + padded(c_.fc);
    w_.rnn1_mel = pack_linear("rnn1.input.mel", rnn1_.mel);
    w_.rnn2_mel = pack_linear("rnn2.input.mel", rnn2_.mel);
    w_.fc1_mel = pack_linear("fc1.input.mel", fc1_.mel);
    w_.rnn1_aux = pack_linear("rnn1.input.aux", rnn1_.aux);
    w_.rnn2_aux = pack_linear("rnn2.input.aux", rnn2_.aux);
    w_.fc1_aux = pack_linear("fc1.input.aux", fc1_.aux);
    w_.fc2_aux = pack_linear("fc2.input.aux", fc2_aux_);
    float* sample = arena_.allocate<float>(size(w_.inputs));
    put_gates(rnn1_.sample, sample);
    put_gates(rnn2_.sample, sample + w_.rnn2_at);
    std::memcpy(sample + w_.fc1_at, fc1_.sample, sizeof(float) * size(c_.fc));
    w_.sample = sample;

    float* constant = arena_.allocate<float>(size(w_.inputs));
    std::memcpy(constant, w_.rnn1.input_bias(), sizeof(float) * size(w_.rnn2_at));
    for (int i = 0; i < w_.rnn2_at; ++i) {
      constant[w_.rnn2_at + i] = w_.rnn2.input_bias()[i] + offset(w_.rnn2_input, i);
    }
    // The layer reads half the sum of two states.
    for (int i = 0; i < c_.fc; ++i) {
      constant[w_.fc1_at + i] = fc1_.bias[i] + 2.0f * offset(w_.fc1, i);
    }
    w_.constant = constant;
    w_.fc2_constant = pack_floats(fc2_bias_, c_.fc);
  }

  static float offset(const nn::Linear& linear, int i) {
    return linear.offset() == nullptr ? 0.0f : linear.offset()[i];
  }

  void pack_outputs() {
    float* bias = pack_floats(fc3_bias_, c_.outputs);
    if (c_.mode == Mode::kMol) {
      w_.fc3_bias = bias;
      return;
    }
    for (int i = c_.outputs; i < padded(c_.outputs); ++i) bias[i] = kNever;
    w_.fc3_bias = bias;
    float* amplitudes = arena_.allocate<float>(size(c_.outputs));
    const double most = c_.outputs - 1;
    for (int i = 0; i < c_.outputs; ++i) {
      const double x = 2.0 * i / most - 1.0;
      const double loud = std::expm1(std::fabs(x) * std::log1p(most)) / most;
      amplitudes[i] = static_cast<float>(c_.mu_law ? std::copysign(loud, x) : x);
    }
    w_.amplitudes = amplitudes;
  }

  void pack() override {
    w_.resnet_in = pack_dense("resnet.in", resnet_in_);
    for (std::size_t k = 0; k < blocks_.size(); ++k) {
      const std::string name = "resnet." + std::to_string(k);
      const DenseLayer a = pack_dense(name + ".a", blocks_[k][0]);
      w_.blocks.push_back({a, pack_dense(name + ".b", blocks_[k][1])});
    }
    w_.resnet_out = pack_dense("resnet.out", resnet_out_);
    w_.rnn1 = pack_gru("rnn1.hidden", gru1_);
    w_.rnn2_input = pack_linear("rnn2.input", rnn2_input_);
    w_.rnn2 = pack_gru("rnn2.hidden", gru2_);
    w_.fc1 = pack_linear("fc1", fc1_loop_);
    w_.fc2 = pack_linear("fc2", fc2_loop_);
    w_.fc3 = pack_linear("fc3", fc3_);
    const nn::Linear* loop[] = {
        &w_.rnn1.recurrent(), &w_.rnn2_input, &w_.rnn2.recurrent(), &w_.fc1, &w_.fc2, &w_.fc3};
    for (const nn::Linear* layer : loop) {
      w_.loop_bytes += layer->bytes();
    }
    if (!status_.ok()) return;
    pack_inputs();
    pack_outputs();
    const std::vector<double> exact = interpolation(stretches_, c_.stretches, c_.pad);
    float* phases = arena_.allocate<float>(exact.size());
    for (std::size_t i = 0; i < exact.size(); ++i) phases[i] = static_cast<float>(exact[i]);
    w_.phases = phases;
  }

  nn::ConvSource resnet_in_, resnet_out_;
  std::vector<std::vector<nn::ConvSource>> blocks_;  // a, b
  std::vector<const float*> stretches_;
  Input rnn1_, rnn2_, fc1_;
  nn::LinearSource fc2_aux_, rnn2_input_, fc1_loop_, fc2_loop_, fc3_;
  nn::GruSource gru1_, gru2_;
  const float *fc2_bias_ = nullptr, *fc3_bias_ = nullptr;
};

}  // namespace

std::vector<double> interpolation(const std::vector<const float*>& kernels,
                                  const std::vector<int>& stretches, int pad) {
  const int taps = 2 * pad + 1;
  std::vector<double> signal(size(taps), 0.0);  // 1 at the middle frame
  signal[size(pad)] = 1.0;
  int hop = 1;
  for (std::size_t k = 0; k < stretches.size(); ++k) {
    const int s = stretches[k], n = static_cast<int>(signal.size()) * s;
    std::vector<double> wide(size(n), 0.0);
    for (int i = 0; i < n; ++i) {
      for (int j = 0; j <= 2 * s; ++j) {
        const int from = i + j - s;
        if (from < 0 || from >= n) continue;
        wide[size(i)] += static_cast<double>(kernels[k][j]) * signal[size(from / s)];
      }
    }
    signal.swap(wide);
    hop *= s;
  }
  // What the middle frame gives to frame t is what frame t + d gives to the middle, d = pad - t.
  std::vector<double> found(size(hop) * size(taps));
  for (int p = 0; p < hop; ++p) {
    for (int j = 0; j < taps; ++j) {
      found[size(p * taps + j)] = signal[size((taps - 1 - j) * hop + p)];
    }
  }
  return found;
}

Status load_weights(const io::Gguf& file, const Config& config, const kernels::KernelTable& kernels,
                    Weights& weights) {
  return Loader(file, config, kernels, weights).run();
}

}  // namespace pyvoc::models::wavernn
