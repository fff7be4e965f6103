// One GRU ("reset after"), gates in the order r, z, n. Immutable; the state is the caller's.
//   r = s(x_r + U_r h + b_r), z = s(x_z + U_z h + b_z), n = tanh(x_n + r * (U_n h + b_hn)),
//   h = z * h + (1 - z) * n
#ifndef PYVOC_NN_GRU_H_
#define PYVOC_NN_GRU_H_

#include <cstdint>

#include "nn/linear.h"

namespace pyvoc::nn {

enum class RowType { kNone, kF32, kBf16, kI16 };

struct GruSource {
  LinearSource recurrent;          // gates = 3
  const float* diag = nullptr;     // [3 N] or null
  const float* bias_hh = nullptr;  // [3 N]
  const float* bias_ih = nullptr;  // [3 N]
  RowType rows = RowType::kNone;   // type of the table rows that are added to the input
  float row_scale = 1.0f;          // kI16
};

// What a stream keeps of one GRU; memory from the stream's arena.
struct GruState {
  float* h = nullptr;            // [stride]
  std::uint8_t* h_u8 = nullptr;  // [stride] round(127 h) + 127
  void* sums = nullptr;          // [3 * stride] U h: float, or int32 for int8 weights
};

class Gru {
 public:
  Gru() = default;
  static Result<Gru> pack(const GruSource& source, const kernels::KernelTable& kernels,
                          Arena& arena);

  int size() const { return size_; }
  int stride() const { return stride_; }
  bool integer() const { return recurrent_.integer(); }
  const Linear& recurrent() const { return recurrent_; }
  // [3 * stride]: what the input must contain of this layer's biases.
  const float* input_bias() const { return input_bias_; }

  GruState make_state(Arena& arena) const;
  void reset(const GruState& state) const PYVOC_RT;  // h = 0 and its product

  // state.sums = U h, for the next step.
  void multiply(const GruState& state) const PYVOC_RT {
    if (integer()) {
      recurrent_.run(state.h_u8, static_cast<std::int32_t*>(state.sums));
    } else {
      recurrent_.run(state.h, nullptr, static_cast<float*>(state.sums));
    }
  }

  // The same for n <= Linear::kMost states at once, or a share of it.
  void multiply_many(const GruState* const* states, int n, Linear::Share share) const PYVOC_RT;

  // One of kParts pieces of multiply.
  void multiply_part(int part, const GruState& state) const PYVOC_RT {
    if (integer()) {
      recurrent_.run_part(part, state.h_u8, static_cast<std::int32_t*>(state.sums));
    } else {
      recurrent_.run_part(part, state.h, static_cast<float*>(state.sums));
    }
  }

  // Updates h from sums; input [3 * stride] holds input_bias, rows are three table rows or null.
  void update(const GruState& state, const float* input, const void* const* rows) const PYVOC_RT {
    kernels::GruGates g;
    g.stride = stride_;
    g.input = input;
    if (rows != nullptr) {
      for (int i = 0; i < 3; ++i) g.rows[i] = rows[i];
    }
    g.row_scale = row_scale_;
    g.recurrent = state.sums;
    g.scale = recurrent_.scale();
    g.diag = diag_;
    g.bias_n = bias_n_;
    g.state = state.h;
    g.state_u8 = state.h_u8;
    gates_(g);
  }

 private:
  Linear recurrent_;
  int size_ = 0, stride_ = 0;
  float row_scale_ = 1.0f;
  const float* diag_ = nullptr;
  const float* bias_n_ = nullptr;
  const float* input_bias_ = nullptr;
  void (*gates_)(const kernels::GruGates&) PYVOC_RT = nullptr;
};

}  // namespace pyvoc::nn
#endif  // PYVOC_NN_GRU_H_
