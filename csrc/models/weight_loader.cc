#include "models/weight_loader.h"

#include <cstring>

namespace pyvoc::models {
namespace {

// [outputs, inputs, taps] to [outputs, taps, inputs].
template <typename T>
std::vector<T> unroll(const nn::ConvSource& source) {
  const T* from = static_cast<const T*>(source.data);
  const auto outputs = static_cast<std::size_t>(source.outputs);
  const auto inputs = static_cast<std::size_t>(source.inputs);
  const auto taps = static_cast<std::size_t>(source.taps);
  std::vector<T> to(outputs * taps * inputs);
  for (std::size_t o = 0; o < outputs; ++o) {
    for (std::size_t i = 0; i < inputs; ++i) {
      for (std::size_t k = 0; k < taps; ++k) to[(o * taps + k) * inputs + i] = *from++;
    }
  }
  return to;
}

}  // namespace

Status WeightLoader::run() {
  gather();
  const Status status = tensors_.finish();
  if (!status.ok()) return status;
  pack();
  return status_;
}

nn::ConvSource WeightLoader::conv(const std::string& name, int outputs, int inputs, int taps,
                                  std::initializer_list<io::TensorType> types, bool transposed) {
  nn::ConvSource source;
  source.outputs = outputs;
  source.inputs = inputs;
  source.taps = taps;
  source.transposed = transposed;
  const int rows = transposed ? inputs : outputs, cols = transposed ? outputs : inputs;
  read_weights(tensors_, name + ".weight", {size(rows), size(cols), size(taps)}, types, source);
  source.bias = tensors_.f32(name + ".bias", {size(outputs)});
  return source;
}

bool WeightLoader::count_int8(const std::string& which) {
  if (integers_ != 0 && integers_ != layers_) {
    tensors_.problem(std::to_string(integers_) + " of " + std::to_string(layers_) + " layers " +
                     which + " are I8, expected all or none");
  }
  return integers_ != 0;
}

nn::Linear WeightLoader::pack_linear(const std::string& name, const nn::LinearSource& source) {
  const nn::Linear linear = take(nn::Linear::pack(source, kernels_, arena_));
  list(name, linear);
  return linear;
}

nn::Gru WeightLoader::pack_gru(const std::string& name, const nn::GruSource& source) {
  const nn::Gru gru = take(nn::Gru::pack(source, kernels_, arena_));
  list(name, gru.recurrent());
  return gru;
}

nn::Conv WeightLoader::list_conv(const std::string& name, const Result<nn::Conv>& packed) {
  const nn::Conv conv = take(packed);
  list(name, conv);
  return conv;
}

DenseLayer WeightLoader::pack_dense(const std::string& name, const nn::LinearSource& source,
                                    const float* bias) {
  return {pack_linear(name, source), pack_floats(bias, source.rows)};
}

DenseLayer WeightLoader::pack_dense(const std::string& name, const nn::ConvSource& source) {
  nn::LinearSource matrix;
  matrix.type = source.type;
  matrix.rows = source.outputs;
  matrix.cols = source.inputs * source.taps;
  if (source.type == backends::Weights::kF32) {
    const std::vector<float> data = unroll<float>(source);
    matrix.data = data.data();
    return pack_dense(name, matrix, source.bias);
  }
  const std::vector<kernels::Bf16> data = unroll<kernels::Bf16>(source);
  matrix.data = data.data();
  return pack_dense(name, matrix, source.bias);
}

float* WeightLoader::pack_floats(const float* from, int n) {
  float* to = arena_.allocate<float>(size(nn::padded(n)));
  std::memcpy(to, from, sizeof(float) * size(n));
  return to;
}

}  // namespace pyvoc::models
