// LPCNet's weights, validated against docs/container.md and packed for this machine. Immutable.
#ifndef PYVOC_MODELS_LPCNET_WEIGHTS_H_
#define PYVOC_MODELS_LPCNET_WEIGHTS_H_

#include <vector>

#include "models/lpcnet/config.h"
#include "models/packed_weights.h"
#include "nn/gru.h"

namespace pyvoc::models::lpcnet {

// The three tables that replace embedding and input kernel of GRU A: 256 rows of [3 * stride].
struct Tables {
  nn::RowType type = nn::RowType::kF32;
  float scale = 1.0f;  // kI16
  const std::byte* sig = nullptr;
  const std::byte* pred = nullptr;
  const std::byte* exc = nullptr;
  std::size_t row_bytes = 0;

  void rows(int sig_index, int pred_index, int exc_index, const void** out) const {
    out[0] = sig + row_bytes * static_cast<std::size_t>(sig_index);
    out[1] = pred + row_bytes * static_cast<std::size_t>(pred_index);
    out[2] = exc + row_bytes * static_cast<std::size_t>(exc_index);
  }
};

struct Weights : PackedWeights {
  const float* embed_pitch = nullptr;  // [256, P]
  DenseLayer conv1, conv2;             // kernel unrolled: input [K][channels], oldest frame first
  DenseLayer dense1, dense2;
  nn::Linear gru_a_cond, gru_b_cond;
  Tables tables;
  nn::Gru gru_a, gru_b;
  nn::Linear gru_b_input;  // GRU A's state -> [3 * stride of B]

  // kTree: 17 sub-trees of 15 nodes: the root, then one per value of the first four bits.
  std::vector<kernels::DualFcTree> trees;
  // kSoftmax: both channels as one matrix [2 * 256, M], bias and factor [512].
  DenseLayer dual_fc;
  const float* dual_fc_factor = nullptr;
};

// Lists everything that is missing, unexpected or misshapen in one message. May throw bad_alloc.
Status load_weights(const io::Gguf& file, const Config& config, const kernels::KernelTable& kernels,
                    Weights& weights);

}  // namespace pyvoc::models::lpcnet
#endif  // PYVOC_MODELS_LPCNET_WEIGHTS_H_
