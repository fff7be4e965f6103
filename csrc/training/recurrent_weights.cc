#include "training/recurrent_weights.h"

#include <algorithm>

namespace pyvoc::training {

RecurrentWeights::RecurrentWeights(const float* matrix, const std::uint8_t* mask, int units)
    : units_(units) {
  const int row_groups = 3 * units / 8, col_groups = units / 4;
  if (mask != nullptr) diag_.resize(static_cast<std::size_t>(3 * units));
  row_begin_.push_back(0);
  for (int row = 0; row < row_groups; ++row) {
    for (int col = 0; col < col_groups; ++col) {
      if (mask != nullptr && mask[row * col_groups + col] == 0) continue;
      first_row_.push_back(8 * row);
      first_col_.push_back(4 * col);
      for (int k = 0; k < 32; ++k) {
        const int o = 8 * row + k / 4, i = 4 * col + k % 4;
        const bool apart = mask != nullptr && o % units == i;
        packed_.push_back(apart ? 0.0f : matrix[static_cast<std::size_t>(o) * units + i]);
      }
    }
    row_begin_.push_back(static_cast<std::int32_t>(first_row_.size()));
  }
  for (std::size_t o = 0; o < diag_.size(); ++o) diag_[o] = matrix[o * units + o % units];
  const auto count = static_cast<std::int32_t>(first_col_.size());
  by_col_.resize(first_col_.size());
  for (std::int32_t k = 0; k < count; ++k) by_col_[static_cast<std::size_t>(k)] = k;
  std::stable_sort(by_col_.begin(), by_col_.end(), [this](std::int32_t a, std::int32_t b) {
    return first_col_[static_cast<std::size_t>(a)] < first_col_[static_cast<std::size_t>(b)];
  });
  col_begin_.assign(static_cast<std::size_t>(col_groups) + 1, 0);
  for (std::int32_t col : first_col_) ++col_begin_[static_cast<std::size_t>(col / 4) + 1];
  for (std::size_t i = 1; i < col_begin_.size(); ++i) col_begin_[i] += col_begin_[i - 1];
  view_ = {row_groups,        col_groups,        row_begin_.data(), first_col_.data(),
           first_row_.data(), col_begin_.data(), by_col_.data(),    packed_.data()};
}

void RecurrentWeights::unpack(const float* blocks, const float* diag, float* gradient) const {
  std::fill(gradient, gradient + static_cast<std::size_t>(3 * units_) * units_, 0.0f);
  for (std::size_t k = 0; k < first_col_.size(); ++k) {
    for (int j = 0; j < 32; ++j) {
      const auto o = static_cast<std::size_t>(first_row_[k] + j / 4);
      gradient[o * units_ + static_cast<std::size_t>(first_col_[k] + j % 4)] = blocks[32 * k + j];
    }
  }
  for (std::size_t o = 0; o < diag_.size(); ++o) gradient[o * units_ + o % units_] = diag[o];
}

}  // namespace pyvoc::training
