// A recurrent matrix [3 * units, units] as the training kernels read it: blocks of 8 x 4, all of
// them or those of a mask, where the diagonal of every gate is kept beside the blocks.
#ifndef PYVOC_TRAINING_RECURRENT_WEIGHTS_H_
#define PYVOC_TRAINING_RECURRENT_WEIGHTS_H_

#include <cstdint>
#include <vector>

#include "kernels/training_views.h"

namespace pyvoc::training {

class RecurrentWeights {
 public:
  // matrix [3 * units, units]; mask [3 * units / 8, units / 4], not zero where a block is kept, or
  // nullptr for all. With a mask the diagonals are always kept.
  RecurrentWeights(const float* matrix, const std::uint8_t* mask, int units);
  RecurrentWeights(const RecurrentWeights&) = delete;
  RecurrentWeights& operator=(const RecurrentWeights&) = delete;

  const kernels::LaneBlocks& blocks() const { return view_; }
  const float* diag() const { return diag_.empty() ? nullptr : diag_.data(); }
  std::size_t weights() const { return packed_.size(); }

  // gradient [3 * units, units] from those of the blocks and of the diagonal; zero elsewhere.
  void unpack(const float* blocks, const float* diag, float* gradient) const;

 private:
  int units_;
  std::vector<std::int32_t> row_begin_, first_col_, first_row_, col_begin_, by_col_;
  std::vector<float> packed_, diag_;
  kernels::LaneBlocks view_;
};

}  // namespace pyvoc::training
#endif  // PYVOC_TRAINING_RECURRENT_WEIGHTS_H_
