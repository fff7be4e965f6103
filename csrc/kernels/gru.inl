// The element-wise half of a GRU step ("reset after"): sums of the input terms, gates, new state.
//   z = s(x_z + m_z), r = s(x_r + m_r), n = tanh(x_n + r * (m_n + b_n)), h = n + z * (h - n)

namespace pyvoc::kernels {
namespace {

struct NoRows {};

template <typename Row>
inline F32x16 input_sum(const GruGates& g, std::int32_t at) {
  const F32x16 input = load(g.input + at);
  if constexpr (std::is_same<Row, NoRows>::value) {
    return input;
  } else {
    const Row* a = static_cast<const Row*>(g.rows[0]) + at;
    const Row* b = static_cast<const Row*>(g.rows[1]) + at;
    const Row* c = static_cast<const Row*>(g.rows[2]) + at;
    if constexpr (std::is_same<Row, std::int16_t>::value) {
      return fma(to_float(add(add(load_i16(a), load_i16(b)), load_i16(c))), set1(g.row_scale), input);
    } else {
      return add(add(input, load(a)), add(load(b), load(c)));
    }
  }
}

template <typename Sum>
inline F32x16 recurrent_sum(const GruGates& g, std::int32_t at) {
  const Sum* sums = static_cast<const Sum*>(g.recurrent) + at;
  if constexpr (std::is_same<Sum, float>::value) {
    return load(sums);
  } else {
    return mul(load_float(sums), load(g.scale + at));
  }
}

template <typename Row, typename Sum, bool kDiag>
inline void gru_gates(const GruGates& g) {
  constexpr Precision kPrecision =
      std::is_same<Sum, float>::value ? Precision::kPrecise : Precision::kFast;
  const std::int32_t stride = g.stride;
  for (std::int32_t i = 0; i < stride; i += 16) {
    const std::int32_t ri = i, zi = stride + i, ni = 2 * stride + i;
    const F32x16 h = load(g.state + i);
    F32x16 mr = recurrent_sum<Sum>(g, ri), mz = recurrent_sum<Sum>(g, zi),
           mn = add(recurrent_sum<Sum>(g, ni), load(g.bias_n + i));
    if constexpr (kDiag) {
      mr = fma(load(g.diag + ri), h, mr);
      mz = fma(load(g.diag + zi), h, mz);
      mn = fma(load(g.diag + ni), h, mn);
    }
    const F32x16 r = sigmoid<kPrecision>(add(input_sum<Row>(g, ri), mr));
    const F32x16 z = sigmoid<kPrecision>(add(input_sum<Row>(g, zi), mz));
    const F32x16 n = tanh<kPrecision>(fma(r, mn, input_sum<Row>(g, ni)));
    const F32x16 next = fma(z, sub(h, n), n);
    store(g.state + i, next);
    if constexpr (!std::is_same<Sum, float>::value) {
      store_u8(g.state_u8 + i, fma(next, set1(127.0f), set1(127.0f)));
    }
  }
}

template <typename Row, typename Sum>
inline void gru_any(const GruGates& g) {
  if (g.diag != nullptr) {
    gru_gates<Row, Sum, true>(g);
  } else {
    gru_gates<Row, Sum, false>(g);
  }
}

inline void gru_none_f32(const GruGates& g) noexcept { gru_any<NoRows, float>(g); }
inline void gru_f32_f32(const GruGates& g) noexcept { gru_any<float, float>(g); }
inline void gru_bf16_f32(const GruGates& g) noexcept { gru_any<Bf16, float>(g); }
inline void gru_i16_f32(const GruGates& g) noexcept { gru_any<std::int16_t, float>(g); }
inline void gru_none_i32(const GruGates& g) noexcept { gru_any<NoRows, std::int32_t>(g); }
inline void gru_f32_i32(const GruGates& g) noexcept { gru_any<float, std::int32_t>(g); }
inline void gru_bf16_i32(const GruGates& g) noexcept { gru_any<Bf16, std::int32_t>(g); }
inline void gru_i16_i32(const GruGates& g) noexcept { gru_any<std::int16_t, std::int32_t>(g); }

}  // namespace
}  // namespace pyvoc::kernels
