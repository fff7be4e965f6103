// The element-wise half of a GRU step ("reset after"): sums of the input terms, gates, new state.
//   z = s(x_z + m_z), r = s(x_r + m_r), n = tanh(x_n + r * (m_n + b_n)), h = n + z * (h - n)

namespace pyvoc::kernels {
namespace {

struct NoRows {};

// input + the three table rows.
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
      return fma(sum_i16(a, b, c), set1(g.row_scale), input);
    } else {
      return add(add(input, load(a)), add(load(b), load(c)));
    }
  }
}

// base + U h, the diagonal included where it is apart.
template <typename Sum>
inline F32x16 add_recurrent(const GruGates& g, std::int32_t at, F32x16 h, F32x16 base) {
  const Sum* sums = static_cast<const Sum*>(g.recurrent) + at;
  if constexpr (std::is_same<Sum, float>::value) {
    base = add(load(sums), base);
  } else {
    base = fma(load_float(sums), load(g.scale + at), base);
  }
  if (g.diag != nullptr) base = fma(load(g.diag + at), h, base);
  return base;
}

// A gate, as a function of its own where the tier says so.
template <Precision kPrecision>
#if defined(PYVOC_SIMD_GATE_CALLED) && defined(__GNUC__)
__attribute__((noinline))
#else
inline
#endif
F32x16
gate(F32x16 x) {
  return sigmoid<kPrecision>(x);
}

// Block by block, in two passes: a unit's n waits for its r, and with both in one pass these long
// chains fill the processor's queues (AVX2: 13 % slower).
template <typename Row, typename Sum>
inline void gru_any(const GruGates& g) {
  constexpr Precision kPrecision =
      std::is_same<Sum, float>::value ? Precision::kPrecise : Precision::kFast;
  constexpr std::int32_t kBlock = 64;
  const std::int32_t stride = g.stride;
  for (std::int32_t first = 0; first < stride; first += kBlock) {
    const std::int32_t end = first + kBlock < stride ? first + kBlock : stride;
    float z_of[kBlock], n_of[kBlock];
    for (std::int32_t i = first; i < end; i += 16) {
      const std::int32_t ri = i, zi = stride + i, ni = 2 * stride + i;
      const F32x16 h = load(g.state + i);
      const F32x16 r = gate<kPrecision>(add_recurrent<Sum>(g, ri, h, input_sum<Row>(g, ri)));
      const F32x16 z = gate<kPrecision>(add_recurrent<Sum>(g, zi, h, input_sum<Row>(g, zi)));
      const F32x16 mn = add_recurrent<Sum>(g, ni, h, load(g.bias_n + i));
      store(z_of + i - first, z);
      store(n_of + i - first, fma(r, mn, input_sum<Row>(g, ni)));
    }
    for (std::int32_t i = first; i < end; i += 16) {
      const F32x16 h = load(g.state + i), z = load(z_of + i - first);
      const F32x16 n = tanh<kPrecision>(load(n_of + i - first));
      const F32x16 next = fma(z, sub(h, n), n);
      store(g.state + i, next);
      if constexpr (!std::is_same<Sum, float>::value) {
        store_u8(g.state_u8 + i, fma(next, set1(127.0f), set1(127.0f)));
      }
    }
  }
}

inline void gru_none_f32(const GruGates& g) PYVOC_RT { gru_any<NoRows, float>(g); }
inline void gru_f32_f32(const GruGates& g) PYVOC_RT { gru_any<float, float>(g); }
inline void gru_bf16_f32(const GruGates& g) PYVOC_RT { gru_any<Bf16, float>(g); }
inline void gru_i16_f32(const GruGates& g) PYVOC_RT { gru_any<std::int16_t, float>(g); }
inline void gru_none_i32(const GruGates& g) PYVOC_RT { gru_any<NoRows, std::int32_t>(g); }
inline void gru_f32_i32(const GruGates& g) PYVOC_RT { gru_any<float, std::int32_t>(g); }
inline void gru_bf16_i32(const GruGates& g) PYVOC_RT { gru_any<Bf16, std::int32_t>(g); }
inline void gru_i16_i32(const GruGates& g) PYVOC_RT { gru_any<std::int16_t, std::int32_t>(g); }

}  // namespace
}  // namespace pyvoc::kernels
