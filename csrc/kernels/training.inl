// Training kernels: a step of a recurrent layer for 16 rows of a batch at once, forward and
// backward. A row is a lane, so weights are broadcast and nothing is summed across lanes except in
// weight gradients.

namespace pyvoc::kernels {
namespace {

inline void lane_product_f32(const LaneBlocks& w, const float* x, std::int32_t x_stride,
                             float* y) noexcept {
  for (std::int32_t group = 0; group < w.row_groups; ++group, y += 128) {
    F32x16 s[8] = {zero(), zero(), zero(), zero(), zero(), zero(), zero(), zero()};
    const std::int32_t end = w.row_begin[group + 1];
    for (std::int32_t k = w.row_begin[group]; k < end; ++k) {
      const float* in = x + static_cast<std::ptrdiff_t>(w.first_col[k]) * x_stride;
      const float* b = w.weights + 32 * static_cast<std::ptrdiff_t>(k);
      for (int i = 0; i < 4; ++i) {
        const F32x16 v = load(in + i * x_stride);
        for (int o = 0; o < 8; ++o) s[o] = fma(set1(b[4 * o + i]), v, s[o]);
      }
    }
    for (int o = 0; o < 8; ++o) store(y + 16 * o, s[o]);
  }
}

inline void lane_product_back_f32(const LaneBlocks& w, const float* x, std::int32_t x_stride,
                                  float* y) noexcept {
  for (std::int32_t group = 0; group < w.col_groups; ++group, y += 64) {
    F32x16 even[4], odd[4];
    for (int i = 0; i < 4; ++i) even[i] = load(y + 16 * i), odd[i] = zero();
    const std::int32_t end = w.col_begin[group + 1];
    for (std::int32_t at = w.col_begin[group]; at < end; ++at) {
      const std::int32_t k = w.by_col[at];
      const float* in = x + static_cast<std::ptrdiff_t>(w.first_row[k]) * x_stride;
      const float* b = w.weights + 32 * static_cast<std::ptrdiff_t>(k);
      for (int o = 0; o < 8; o += 2) {
        const F32x16 v = load(in + o * x_stride), u = load(in + (o + 1) * x_stride);
        for (int i = 0; i < 4; ++i) {
          even[i] = fma(set1(b[4 * o + i]), v, even[i]);
          odd[i] = fma(set1(b[4 * o + 4 + i]), u, odd[i]);
        }
      }
    }
    for (int i = 0; i < 4; ++i) store(y + 16 * i, add(even[i], odd[i]));
  }
}

// The sum of each of 16 vectors.
inline F32x16 sum_each(F32x16 (&v)[16]) {
  transpose(v);
  for (int n = 8; n > 0; n /= 2) {
    for (int i = 0; i < n; ++i) v[i] = add(v[i], v[i + n]);
  }
  return v[0];
}

inline void lane_outer_f32(const LaneBlocks& w, const float* d, std::int32_t d_stride,
                           const float* h, std::int32_t h_stride, std::int32_t vectors,
                           float* gradient) noexcept {
  const std::int32_t blocks = w.row_begin[w.row_groups];
  for (std::int32_t k = 0; k < blocks; ++k, gradient += 32) {
    const float* in = h + static_cast<std::ptrdiff_t>(w.first_col[k]) * h_stride;
    for (int half = 0; half < 2; ++half) {
      const float* out = d + static_cast<std::ptrdiff_t>(w.first_row[k] + 4 * half) * d_stride;
      F32x16 s[16];
      for (F32x16& v : s) v = zero();
      for (std::int32_t t = 0; t < vectors; ++t) {
        F32x16 a[4];
        for (int i = 0; i < 4; ++i) a[i] = load(in + i * h_stride + 16 * t);
        for (int o = 0; o < 4; ++o) {
          const F32x16 v = load(out + o * d_stride + 16 * t);
          for (int i = 0; i < 4; ++i) s[4 * o + i] = fma(v, a[i], s[4 * o + i]);
        }
      }
      float* g = gradient + 16 * half;
      store(g, add(load(g), sum_each(s)));
    }
  }
}

template <bool kDiag>
inline F32x16 lane_recurrent(const LaneGru& g, std::int32_t unit, F32x16 h) {
  F32x16 m = add(load(g.product + 16 * unit), set1(g.bias[unit]));
  if constexpr (kDiag) m = fma(set1(g.diag[unit]), h, m);
  return m;
}

inline F32x16 lane_input(const LaneGru& g, std::int32_t unit) {
  const F32x16 x = load(g.frame + 16 * unit);
  return g.sample == nullptr ? x : add(x, load(g.sample + 16 * unit));
}

template <bool kDiag>
inline void lane_gru(const LaneGru& g) {
  const std::int32_t n = g.units;
  for (std::int32_t i = 0; i < n; ++i) {
    const F32x16 h = load(g.state + i * g.state_stride);
    const F32x16 r =
        sigmoid<Precision::kPrecise>(add(lane_input(g, i), lane_recurrent<kDiag>(g, i, h)));
    const F32x16 z =
        sigmoid<Precision::kPrecise>(add(lane_input(g, n + i), lane_recurrent<kDiag>(g, n + i, h)));
    const F32x16 m = lane_recurrent<kDiag>(g, 2 * n + i, h);
    const F32x16 c = tanh<Precision::kPrecise>(fma(r, m, lane_input(g, 2 * n + i)));
    store(g.next + i * g.state_stride, fma(z, sub(h, c), c));
    store(g.kept + 16 * i, r);
    store(g.kept + 16 * (n + i), z);
    store(g.kept + 16 * (2 * n + i), c);
    store(g.kept + 16 * (3 * n + i), m);
  }
}

inline void lane_gru_f32(const LaneGru& g) noexcept {
  if (g.diag != nullptr) {
    lane_gru<true>(g);
  } else {
    lane_gru<false>(g);
  }
}

template <bool kDiag>
inline void lane_gru_back(const LaneGruBack& g) {
  const std::int32_t n = g.units;
  const F32x16 one = set1(1.0f);
  for (std::int32_t i = 0; i < n; ++i) {
    const F32x16 h = load(g.state + i * g.state_stride);
    const F32x16 r = load(g.kept + 16 * i), z = load(g.kept + 16 * (n + i));
    const F32x16 c = load(g.kept + 16 * (2 * n + i)), m = load(g.kept + 16 * (3 * n + i));
    const F32x16 dh = add(load(g.d_state + 16 * i), load(g.d_out + 16 * i));
    const F32x16 dc = mul(mul(dh, sub(one, z)), sub(one, mul(c, c)));
    const F32x16 dz = mul(mul(dh, sub(h, c)), mul(z, sub(one, z)));
    const F32x16 dr = mul(mul(dc, m), mul(r, sub(one, r)));
    const F32x16 inputs[3] = {dr, dz, dc};
    const F32x16 products[3] = {dr, dz, mul(dc, r)};
    F32x16 back = mul(dh, z);
    for (std::int32_t gate = 0; gate < 3; ++gate) {
      const std::int32_t unit = gate * n + i;
      store(g.d_sample + 16 * unit, inputs[gate]);
      store(g.d_frame + 16 * unit, add(load(g.d_frame + 16 * unit), inputs[gate]));
      store(g.d_product + unit * g.product_stride, products[gate]);
      store(g.d_bias + 16 * unit, add(load(g.d_bias + 16 * unit), products[gate]));
      if constexpr (kDiag) {
        store(g.d_diag + 16 * unit, fma(products[gate], h, load(g.d_diag + 16 * unit)));
        back = fma(set1(g.diag[unit]), products[gate], back);
      }
    }
    store(g.d_state + 16 * i, back);
  }
}

inline void lane_gru_back_f32(const LaneGruBack& g) noexcept {
  if (g.diag != nullptr) {
    lane_gru_back<true>(g);
  } else {
    lane_gru_back<false>(g);
  }
}

inline void transpose_tiles_f32(const float* x, std::ptrdiff_t x_stride, std::ptrdiff_t x_step,
                                float* y, std::ptrdiff_t y_stride, std::ptrdiff_t y_step,
                                std::int32_t tiles) noexcept {
  for (std::int32_t k = 0; k < tiles; ++k, x += x_step, y += y_step) {
    F32x16 v[16];
    for (int i = 0; i < 16; ++i) v[i] = load(x + i * x_stride);
    transpose(v);
    for (int i = 0; i < 16; ++i) store(y + i * y_stride, v[i]);
  }
}

inline void mix_rows_f32(const float* const* rows, const float* weights, std::int32_t count,
                         float* y, std::int32_t n) noexcept {
  for (std::int32_t i = 0; i < n; i += 16) {
    F32x16 s = zero();
    for (std::int32_t k = 0; k < count; ++k) s = fma(set1(weights[k]), load(rows[k] + i), s);
    store(y + i, s);
  }
}

inline void spread_row_f32(const float* x, const float* weights, std::int32_t count,
                           float* const* rows, std::int32_t n) noexcept {
  for (std::int32_t i = 0; i < n; i += 16) {
    const F32x16 v = load(x + i);
    for (std::int32_t k = 0; k < count; ++k) {
      store(rows[k] + i, fma(set1(weights[k]), v, load(rows[k] + i)));
    }
  }
}

// One symbol: nodes[l] is the tree's node at level l; lanes 0..7 are the levels of channel 0,
// 8..15 those of channel 1.
inline void tree_nll_one(const TreeNll& t, std::int32_t at) {
  const std::int32_t m = t.inputs, symbol = t.symbol[at];
  const float* x = t.x + static_cast<std::ptrdiff_t>(at) * m;
  std::int32_t node[16];
  for (int l = 0; l < 8; ++l) {
    node[l] = (1 << l) | (symbol >> (8 - l));
    node[8 + l] = 256 + node[l];
  }
  F32x16 v[16];
  for (int k = 0; k < 16; ++k) {
    const float* w = t.weight + static_cast<std::ptrdiff_t>(node[k]) * m;
    v[k] = mul(load(w), load(x));
    for (std::int32_t i = 16; i < m; i += 16) v[k] = fma(load(w + i), load(x + i), v[k]);
  }
  float a[16], factor[16], logit[16] = {};
  store(a, sum_each(v));
  for (int k = 0; k < 16; ++k) {
    a[k] += t.bias[node[k]];
    factor[k] = t.factor[node[k]];
  }
  const F32x16 out = tanh<Precision::kPrecise>(load(a));
  store(a, out);
  double odds = 1.0;
  for (int l = 0; l < 8; ++l) {
    logit[l] = factor[l] * a[l] + factor[8 + l] * a[8 + l];
    const bool bit = (symbol >> (7 - l)) & 1;
    odds *= 1.0 + static_cast<double>(std::exp(bit ? -logit[l] : logit[l]));
  }
  t.nll[at] = static_cast<float>(std::log(odds));
  if (t.d_x == nullptr) return;

  float d_logit[16], slope[16];
  store(d_logit, sigmoid<Precision::kPrecise>(load(logit)));
  const F32x16 one = set1(1.0f);
  store(slope, mul(load(factor), sub(one, mul(out, out))));
  float* dx = t.d_x + static_cast<std::ptrdiff_t>(at) * m;
  for (std::int32_t i = 0; i < m; i += 16) store(dx + i, zero());
  for (int k = 0; k < 16; ++k) {
    const int l = k % 8;
    const float bit = (symbol >> (7 - l)) & 1 ? 1.0f : 0.0f;
    const float d = (d_logit[l] - bit) * t.weights[at];
    const float da = d * slope[k];
    t.d_factor[node[k]] += d * a[k];
    t.d_bias[node[k]] += da;
    const std::ptrdiff_t row = static_cast<std::ptrdiff_t>(node[k]) * m;
    for (std::int32_t i = 0; i < m; i += 16) {
      store(dx + i, fma(set1(da), load(t.weight + row + i), load(dx + i)));
      float* dw = t.d_weight + row + i;
      store(dw, fma(set1(da), load(x + i), load(dw)));
    }
  }
}

inline void tree_nll_f32(const TreeNll& t) noexcept {
  for (std::int32_t i = 0; i < t.count; ++i) tree_nll_one(t, i);
}

}  // namespace
}  // namespace pyvoc::kernels
