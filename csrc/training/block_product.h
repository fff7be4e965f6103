// A layer whose matrix has pruned blocks, for many rows at once: products with the blocks that are
// left, back through them, and their gradient. Rows are walked in tiles of which the units' numbers
// lie side by side. Tiles are divided into a fixed number of pieces whose gradients are summed up
// in order: results do not depend on the number of threads. Arrays are C-contiguous float32.
#ifndef PYVOC_TRAINING_BLOCK_PRODUCT_H_
#define PYVOC_TRAINING_BLOCK_PRODUCT_H_

#include <cstdint>

#include "kernels/table.h"
#include "training/block_matrix.h"

namespace pyvoc::training {

class BlockProduct {
 public:
  // matrix [outputs, inputs], both multiples of 16; mask [outputs / 8, inputs / 4].
  BlockProduct(const float* matrix, const std::uint8_t* mask, int outputs, int inputs,
               const kernels::KernelTable& table);

  int outputs() const { return matrix_.rows(); }
  int inputs() const { return matrix_.cols(); }
  // y [rows, outputs] += W x of x [rows, inputs].
  void forward(const float* x, int rows, float* y, int threads) const;
  // From d, the gradient of y: d_x [rows, inputs] and d_matrix [outputs, inputs].
  void backward(const float* x, const float* d, int rows, float* d_x, float* d_matrix,
                int threads) const;

 private:
  class Lanes;

  BlockMatrix matrix_;
  const kernels::KernelTable& table_;
  int lanes_;  // rows that a kernel takes at once
};

}  // namespace pyvoc::training
#endif  // PYVOC_TRAINING_BLOCK_PRODUCT_H_
