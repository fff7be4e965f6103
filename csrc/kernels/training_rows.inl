// Training kernels over rows of a batch, units side by side: what stands between the products of a
// loop, forward and backward. Backward, what was kept becomes the gradient of what it was made
// from.

namespace pyvoc::kernels {
namespace {

inline void nearly_f32(const float* x, const float* noise, std::int32_t n, float* y) PYVOC_RT {
  const F32x16 one = set1(1.0f);
  for (std::int32_t i = 0; i < n; i += 16) {
    store(y + i, clamp(add(load(x + i), load(noise + i)), one));
  }
}

inline void gate_keep_f32(const float* x, float* gate, std::int32_t n, float* y) PYVOC_RT {
  for (std::int32_t i = 0; i < n; i += 16) {
    const F32x16 g = sigmoid<Precision::kPrecise>(load(gate + i));
    store(gate + i, g);
    store(y + i, mul(load(x + i), g));
  }
}

inline void gate_back_f32(const float* d, const float* x, float* gate, std::int32_t n,
                          float* d_x) PYVOC_RT {
  const F32x16 one = set1(1.0f);
  for (std::int32_t i = 0; i < n; i += 16) {
    const F32x16 g = load(gate + i), dg = mul(load(d + i), g);
    store(d_x + i, add(load(d_x + i), dg));
    store(gate + i, mul(mul(dg, load(x + i)), sub(one, g)));
  }
}

inline void tanh_back_f32(const float* d, float* y, std::int32_t n) PYVOC_RT {
  const F32x16 one = set1(1.0f);
  for (std::int32_t i = 0; i < n; i += 16) {
    const F32x16 v = load(y + i);
    store(y + i, mul(load(d + i), sub(one, mul(v, v))));
  }
}

inline void row_gru_f32(const RowGru& g) PYVOC_RT {
  const std::int32_t units = g.units;
  for (std::int32_t row = 0; row < g.rows; ++row) {
    const float* x = g.input + std::int64_t{3} * units * row;
    const float* m = g.recurrent + std::int64_t{3} * units * row;
    const float* state = g.state + std::int64_t{units} * row;
    float* next = g.next + std::int64_t{units} * row;
    float* kept = g.kept + std::int64_t{4} * units * row;
    for (std::int32_t i = 0; i < units; i += 16) {
      const F32x16 r = sigmoid<Precision::kPrecise>(add(load(x + i), load(m + i)));
      const F32x16 z = sigmoid<Precision::kPrecise>(add(load(x + units + i), load(m + units + i)));
      const F32x16 m_n = load(m + 2 * units + i);
      const F32x16 c = tanh<Precision::kPrecise>(fma(r, m_n, load(x + 2 * units + i)));
      store(kept + i, m_n);
      store(kept + units + i, r);
      store(kept + 2 * units + i, z);
      store(kept + 3 * units + i, c);
      store(next + i, fma(z, sub(load(state + i), c), c));
    }
  }
}

inline void row_gru_back_f32(const RowGruBack& g) PYVOC_RT {
  const std::int32_t units = g.units;
  const F32x16 one = set1(1.0f);
  for (std::int32_t row = 0; row < g.rows; ++row) {
    const float* state = g.state + std::int64_t{units} * row;
    float* d_state = g.d_state + std::int64_t{units} * row;
    float* kept = g.kept + std::int64_t{4} * units * row;
    for (std::int32_t i = 0; i < units; i += 16) {
      const F32x16 m_n = load(kept + i), r = load(kept + units + i);
      const F32x16 z = load(kept + 2 * units + i), c = load(kept + 3 * units + i);
      const F32x16 dh = load(d_state + i), back = mul(dh, z);
      const F32x16 dc = mul(sub(dh, back), sub(one, mul(c, c)));
      const F32x16 dz = mul(mul(dh, sub(load(state + i), c)), mul(z, sub(one, z)));
      const F32x16 dr = mul(mul(dc, m_n), mul(r, sub(one, r)));
      store(kept + i, mul(dc, r));
      store(kept + units + i, dr);
      store(kept + 2 * units + i, dz);
      store(kept + 3 * units + i, dc);
      store(d_state + i, back);
    }
  }
}

}  // namespace
}  // namespace pyvoc::kernels
