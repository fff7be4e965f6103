#include "models/quantized_convs.h"

#include <algorithm>
#include <cmath>

namespace pyvoc::models {
namespace {

void read_int8(Tensors& tensors, const std::string& weight, const io::Tensor& tensor,
               nn::ConvSource& source) {
  const auto* q = reinterpret_cast<const std::int8_t*>(tensor.data);
  if (std::find(q, q + tensor.elements, std::int8_t{-128}) != q + tensor.elements) {
    tensors.problem("tensor " + weight + " has the int8 value -128, expected -127 to 127");
  }
  const int entries = source.inputs * (source.zero_per_tap ? source.taps : 1);
  source.scale =
      tensors.scales(weight + ".scale", static_cast<std::size_t>(source.outputs), Scales::kAny);
  const float* input =
      tensors.f32(weight + ".input", {std::size_t{2}, static_cast<std::size_t>(entries)});
  if (source.scale == nullptr || input == nullptr) return;
  for (int i = 0; i < entries; ++i) {
    const float step = input[i], zero = input[entries + i];
    const bool whole = zero >= 0.0f && zero <= 254.0f && std::floor(zero) == zero;
    if (!(step > 0.0f && std::isfinite(1.0f / step)) || !whole) {
      tensors.problem("tensor " + weight +
                      ".input is not positive scales and whole numbers within 0..254");
      return;
    }
  }
  source.input_zero = input + entries;
}

}  // namespace

void read_weights(Tensors& tensors, const std::string& weight,
                  const std::vector<std::size_t>& shape,
                  std::initializer_list<io::TensorType> types, nn::ConvSource& source) {
  const io::Tensor* t = tensors.any(weight, shape, types);
  if (t == nullptr) return;
  source.data = t->data;
  source.type = weights_of(*t);
  if (source.type == backends::Weights::kI8) read_int8(tensors, weight, *t, source);
}

Quantization make_quantization(const nn::ConvSource& source, int repeats, Arena& arena,
                               bool narrow) {
  if (source.input_zero == nullptr) return {};
  const float *zeros = source.input_zero, *steps = input_scales(source);
  const int channels = narrow ? nn::kNarrow : nn::padded(source.inputs);
  const std::size_t n = static_cast<std::size_t>(repeats) * static_cast<std::size_t>(channels);
  float* inverse = arena.allocate<float>(n);
  float* offset = arena.allocate<float>(n);
  std::uint8_t* zero = arena.allocate<std::uint8_t>(static_cast<std::size_t>(channels));
  for (int i = 0; i < repeats * channels; ++i) {
    const int c = i % channels, repeat = i / channels;
    const bool used = c < source.inputs;
    const int at = source.zero_per_tap ? c * source.taps + repeat % source.taps : c;
    inverse[i] = used ? 1.0f / steps[at] : 0.0f;
    offset[i] = (used ? zeros[at] : 0.0f) - 127.0f;
    if (repeat == 0) zero[c] = static_cast<std::uint8_t>(used ? zeros[at] : 0.0f);
  }
  return {inverse, offset, zero};
}

}  // namespace pyvoc::models
