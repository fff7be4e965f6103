// A matrix as blocks of 8 x 4 that the training kernels walk: all of them, or those of a mask.
#ifndef PYVOC_TRAINING_BLOCK_MATRIX_H_
#define PYVOC_TRAINING_BLOCK_MATRIX_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/training_views.h"

namespace pyvoc::training {

class BlockMatrix {
 public:
  // matrix [rows, cols], whole numbers of blocks; mask [rows / 8, cols / 4], not zero where a block
  // is kept, or nullptr for all.
  BlockMatrix(const float* matrix, const std::uint8_t* mask, int rows, int cols);
  BlockMatrix(const BlockMatrix&) = delete;
  BlockMatrix& operator=(const BlockMatrix&) = delete;

  const kernels::LaneBlocks& blocks() const { return view_; }
  int rows() const { return 8 * view_.row_groups; }
  int cols() const { return 4 * view_.col_groups; }
  std::size_t weights() const { return packed_.size(); }

  // Calls f(packed weight, row, column) for each weight of the blocks, in their order.
  template <typename Call>
  void for_weights(const Call& f) {
    for (std::size_t k = 0; k < packed_.size(); ++k) f(packed_[k], row_of(k), col_of(k));
  }
  // matrix [rows, cols] from what belongs to each weight of the blocks; zero elsewhere.
  void unpack(const float* blocks, float* matrix) const;

 private:
  int row_of(std::size_t k) const { return first_row_[k / 32] + static_cast<int>(k % 32 / 4); }
  int col_of(std::size_t k) const { return first_col_[k / 32] + static_cast<int>(k % 4); }

  std::vector<std::int32_t> row_begin_, first_col_, first_row_;
  std::vector<float> packed_;
  kernels::LaneBlocks view_;
};

}  // namespace pyvoc::training
#endif  // PYVOC_TRAINING_BLOCK_MATRIX_H_
