// A recurrent matrix of a GRU as the training kernels walk it: the three gates' blocks, all of them
// or those of a mask, where the diagonal of every gate is kept beside the blocks.
#ifndef PYVOC_TRAINING_RECURRENT_WEIGHTS_H_
#define PYVOC_TRAINING_RECURRENT_WEIGHTS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "training/block_matrix.h"

namespace pyvoc::training {

class RecurrentWeights {
 public:
  // matrix [3 * units, units]; mask [3 * units / 8, units / 4], not zero where a block is kept, or
  // nullptr for all. With a mask the diagonals are always kept.
  RecurrentWeights(const float* matrix, const std::uint8_t* mask, int units);

  const kernels::LaneBlocks& blocks() const { return matrix_.blocks(); }
  const float* diag() const { return diag_.empty() ? nullptr : diag_.data(); }
  std::size_t weights() const { return matrix_.weights(); }

  // gradient [3 * units, units] from those of the blocks and of the diagonal; zero elsewhere.
  void unpack(const float* blocks, const float* diag, float* gradient) const;

 private:
  BlockMatrix matrix_;
  std::vector<float> diag_;
};

}  // namespace pyvoc::training
#endif  // PYVOC_TRAINING_RECURRENT_WEIGHTS_H_
