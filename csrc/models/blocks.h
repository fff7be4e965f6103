// An utterance in blocks of frames, as a session takes them.
#ifndef PYVOC_MODELS_BLOCKS_H_
#define PYVOC_MODELS_BLOCKS_H_

#include <algorithm>
#include <vector>

#include "base/span.h"

namespace pyvoc::models {

// visit(frames [n][features.cols()], n), n <= most, one block after the other.
template <typename Visit>
void for_blocks(Matrix<const float> features, std::size_t most, const Visit& visit) {
  const std::size_t cols = features.cols();
  std::vector<float> frames(most * cols);
  for (std::size_t i = 0; i < features.rows(); i += most) {
    const std::size_t n = std::min(most, features.rows() - i);
    for (std::size_t r = 0; r < n; ++r) {
      std::copy_n(features[i + r].data(), cols, frames.data() + r * cols);
    }
    visit(frames.data(), static_cast<int>(n));
  }
}

}  // namespace pyvoc::models
#endif  // PYVOC_MODELS_BLOCKS_H_
