// Convolutions out of a model file, int8 ones with what turns their inputs into bytes.
#ifndef PYVOC_MODELS_QUANTIZED_CONVS_H_
#define PYVOC_MODELS_QUANTIZED_CONVS_H_

#include <string>
#include <vector>

#include "base/arena.h"
#include "models/tensors.h"
#include "nn/conv.h"

namespace pyvoc::models {

// How a layer's input becomes bytes: u = round(x * inverse + offset) + 127, within 0..254, for
// every channel. All null for layers with float inputs.
struct Quantization {
  const float* inverse = nullptr;  // [repeats][channels padded to nn::kVector]
  const float* offset = nullptr;
  const std::uint8_t* zero = nullptr;  // what stands for 0, the first repeat
};

// Fills in type and data and, for an I8 tensor, scale and input_zero, which come from the tensors
// `.scale` and `.input` [2, inputs]; what is wrong is added to the problems of `tensors`. `shape`
// is that of the file. `source` has its sizes.
void read_weights(Tensors& tensors, const std::string& weight,
                  const std::vector<std::size_t>& shape,
                  std::initializer_list<io::TensorType> types, nn::ConvSource& source);

// Scales [entries] and, behind them, zeros [entries] of an int8 source's inputs.
inline const float* input_scales(const nn::ConvSource& source) {
  return source.input_zero - source.inputs * (source.zero_per_tap ? source.taps : 1);
}

// For layers whose rows of inputs are written `repeats` side by side, each a tap if zero_per_tap.
// `narrow`: they are nn::kNarrow wide.
Quantization make_quantization(const nn::ConvSource& source, int repeats, Arena& arena,
                               bool narrow = false);

}  // namespace pyvoc::models
#endif  // PYVOC_MODELS_QUANTIZED_CONVS_H_
