#include "nn/gru.h"

#include <cstring>

namespace pyvoc::nn {
namespace {

using Gates = void (*)(const kernels::GruGates&) PYVOC_RT;

Gates pick_gates(const kernels::KernelTable& k, RowType rows, bool integer) {
  switch (rows) {
    case RowType::kNone:
      return integer ? k.gru_none_i32 : k.gru_none_f32;
    case RowType::kF32:
      return integer ? k.gru_f32_i32 : k.gru_f32_f32;
    case RowType::kBf16:
      return integer ? k.gru_bf16_i32 : k.gru_bf16_f32;
    case RowType::kI16:
      return integer ? k.gru_i16_i32 : k.gru_i16_f32;
  }
  return nullptr;
}

}  // namespace

Result<Gru> Gru::pack(const GruSource& source, const kernels::KernelTable& kernels, Arena& arena) {
  Gru gru;
  Result<Linear> recurrent = Linear::pack(source.recurrent, kernels, arena);
  if (!recurrent.ok()) return recurrent.status();
  gru.recurrent_ = recurrent.value();
  gru.size_ = source.recurrent.rows / 3;
  gru.stride_ = padded(gru.size_);
  gru.row_scale_ = source.row_scale;
  gru.gates_ = pick_gates(kernels, source.rows, gru.integer());
  if (gru.gates_ == nullptr) {
    return Status(Code::kUnsupported, "this build has no kernels for this kind of GRU");
  }

  const int n = gru.size_, stride = gru.stride_;
  float* input_bias = arena.allocate<float>(3 * stride);
  float* bias_n = arena.allocate<float>(stride);
  float* diag = source.diag == nullptr ? nullptr : arena.allocate<float>(3 * stride);
  const float* offset = gru.recurrent_.offset();
  for (int gate = 0; gate < 3; ++gate) {
    for (int i = 0; i < n; ++i) {
      const int from = gate * n + i, to = gate * stride + i;
      const float recurrent_bias = source.bias_hh[from] + (offset == nullptr ? 0.0f : offset[to]);
      input_bias[to] = source.bias_ih[from] + (gate == 2 ? 0.0f : recurrent_bias);
      if (gate == 2) bias_n[i] = recurrent_bias;
      if (diag != nullptr) diag[to] = source.diag[from];
    }
  }
  gru.input_bias_ = input_bias;
  gru.bias_n_ = bias_n;
  gru.diag_ = diag;
  return gru;
}

GruState Gru::make_state(Arena& arena) const {
  GruState state;
  state.h = arena.allocate<float>(stride_);
  state.h_u8 = arena.allocate<std::uint8_t>(stride_);
  state.sums = arena.allocate<float>(3 * stride_);
  return state;
}

void Gru::multiply_many(const GruState* const* states, int n, Linear::Share share) const PYVOC_RT {
  if (integer()) {
    const std::uint8_t* u[Linear::kMost];
    std::int32_t* y[Linear::kMost];
    for (int i = 0; i < n; ++i) {
      u[i] = states[i]->h_u8;
      y[i] = static_cast<std::int32_t*>(states[i]->sums);
    }
    return recurrent_.run_many(u, y, n, share);
  }
  const float* x[Linear::kMost];
  float* y[Linear::kMost];
  for (int i = 0; i < n; ++i) {
    x[i] = states[i]->h;
    y[i] = static_cast<float*>(states[i]->sums);
  }
  recurrent_.run_many(x, nullptr, y, n, share);
}

void Gru::reset(const GruState& state) const PYVOC_RT {
  std::memset(state.h, 0, sizeof(float) * stride_);
  std::memset(state.h_u8, 127, stride_);
  multiply(state);
}

}  // namespace pyvoc::nn
