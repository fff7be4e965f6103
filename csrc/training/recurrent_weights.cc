#include "training/recurrent_weights.h"

namespace pyvoc::training {

RecurrentWeights::RecurrentWeights(const float* matrix, const std::uint8_t* mask, int units)
    : matrix_(matrix, mask, 3 * units, units) {
  if (mask == nullptr) return;
  diag_.resize(static_cast<std::size_t>(3 * units));
  const auto width = static_cast<std::size_t>(units);
  for (std::size_t o = 0; o < diag_.size(); ++o) diag_[o] = matrix[o * width + o % width];
  matrix_.for_weights([&](float& weight, int row, int col) {
    if (row % units == col) weight = 0.0f;
  });
}

void RecurrentWeights::unpack(const float* blocks, const float* diag, float* gradient) const {
  matrix_.unpack(blocks, gradient);
  const auto width = static_cast<std::size_t>(matrix_.cols());
  for (std::size_t o = 0; o < diag_.size(); ++o) gradient[o * width + o % width] = diag[o];
}

}  // namespace pyvoc::training
