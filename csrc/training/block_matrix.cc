#include "training/block_matrix.h"

#include <algorithm>

namespace pyvoc::training {

BlockMatrix::BlockMatrix(const float* matrix, const std::uint8_t* mask, int rows, int cols) {
  const int row_groups = rows / 8, col_groups = cols / 4;
  row_begin_.push_back(0);
  for (int row = 0; row < row_groups; ++row) {
    for (int col = 0; col < col_groups; ++col) {
      if (mask != nullptr && mask[row * col_groups + col] == 0) continue;
      first_row_.push_back(8 * row);
      first_col_.push_back(4 * col);
    }
    row_begin_.push_back(static_cast<std::int32_t>(first_row_.size()));
  }
  packed_.resize(32 * first_row_.size());
  for_weights([&](float& weight, int row, int col) {
    weight = matrix[static_cast<std::size_t>(row) * cols + col];
  });
  view_ = {row_groups,        col_groups,        row_begin_.data(),
           first_col_.data(), first_row_.data(), packed_.data()};
}

void BlockMatrix::unpack(const float* blocks, float* matrix) const {
  const auto width = static_cast<std::size_t>(cols());
  std::fill(matrix, matrix + static_cast<std::size_t>(rows()) * width, 0.0f);
  for (std::size_t k = 0; k < packed_.size(); ++k) {
    matrix[static_cast<std::size_t>(row_of(k)) * width + static_cast<std::size_t>(col_of(k))] =
        blocks[k];
  }
}

}  // namespace pyvoc::training
