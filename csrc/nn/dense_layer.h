// A matrix and what is added to its product. Immutable; run_bounded is real-time safe.
#ifndef PYVOC_NN_DENSE_LAYER_H_
#define PYVOC_NN_DENSE_LAYER_H_

#include <cstdint>

#include "base/realtime.h"
#include "kernels/table.h"
#include "nn/linear.h"

namespace pyvoc::nn {

struct DenseLayer {
  Linear matrix;
  const float* bias = nullptr;  // [outputs]
};

// y [outputs] of the layer of x [cols padded], which is within -1..1: int8 weights read
// round(127 x), so their bias must contain Linear::offset. bytes [cols padded] and sums [outputs]
// are overwritten.
inline void run_bounded(const DenseLayer& layer, const kernels::KernelTable& kernels,
                        const float* x, std::uint8_t* bytes, std::int32_t* sums,
                        float* y) PYVOC_RT {
  const Linear& matrix = layer.matrix;
  if (!matrix.integer()) return matrix.run(x, layer.bias, y);
  kernels.bytes_f32(x, 127.0f, 127.0f, padded(matrix.description().cols), bytes);
  matrix.run(bytes, sums);
  kernels.scaled_i32(sums, matrix.scale(), 1.0f, layer.bias, y, matrix.outputs());
}

}  // namespace pyvoc::nn
#endif  // PYVOC_NN_DENSE_LAYER_H_
