// Training kernels: a step of a recurrent layer for 16 rows of a batch at once, forward and
// backward. A row is a lane, so weights are broadcast and nothing is summed across lanes except in
// weight gradients.

namespace pyvoc::kernels {
namespace {

// A vector holds the lanes of one unit where a group has 16 rows, of two units where it has 8.
template <int kLanes>
inline F32x16 load_units(const float* p, std::int32_t stride) {
  if constexpr (kLanes == 16) return load(p);
  return load_halves(p, p + stride);
}
template <int kLanes>
inline void store_units(float* p, std::int32_t stride, F32x16 v) {
  if constexpr (kLanes == 16) return store(p, v);
  store_halves(p, p + stride, v);
}
// A number for each unit of a vector.
template <int kLanes>
inline F32x16 set_units(const float* p, std::int32_t stride = 1) {
  if constexpr (kLanes == 16) return set1(p[0]);
  return set_halves(p[0], p[stride]);
}

template <int kLanes>
inline void lane_product(const LaneBlocks& w, const float* x, std::int32_t x_stride, float* y) {
  constexpr int kUnits = 16 / kLanes, kSums = 8 / kUnits;
  for (std::int32_t group = 0; group < w.row_groups; ++group, y += 8 * kLanes) {
    F32x16 s[kSums];
    for (F32x16& v : s) v = zero();
    const std::int32_t end = w.row_begin[group + 1];
    for (std::int32_t k = w.row_begin[group]; k < end; ++k) {
      const float* in = x + static_cast<std::ptrdiff_t>(w.first_col[k]) * x_stride;
      const float* b = w.weights + 32 * static_cast<std::ptrdiff_t>(k);
      for (int i = 0; i < 4; ++i) {
        const F32x16 v = load_units<kLanes>(in + i * x_stride, 0);
        for (int o = 0; o < kSums; ++o) {
          s[o] = fma(set_units<kLanes>(b + 4 * kUnits * o + i, 4), v, s[o]);
        }
      }
    }
    for (int o = 0; o < kSums; ++o) store(y + 16 * o, s[o]);
  }
}

inline void lane_product_f32(const LaneBlocks& w, std::int32_t lanes, const float* x,
                             std::int32_t x_stride, float* y) PYVOC_RT {
  lanes == 16 ? lane_product<16>(w, x, x_stride, y) : lane_product<8>(w, x, x_stride, y);
}

// Blocks in row order, as they lie: eight rows of x stay in registers.
template <int kLanes>
inline void lane_product_back(const LaneBlocks& w, const float* x, std::int32_t x_stride,
                              float* y) {
  constexpr int kUnits = 16 / kLanes, kSums = 4 / kUnits;
  for (std::int32_t group = 0; group < w.row_groups; ++group, x += 8 * x_stride) {
    F32x16 v[8];
    for (int o = 0; o < 8; ++o) v[o] = load_units<kLanes>(x + o * x_stride, 0);
    const std::int32_t end = w.row_begin[group + 1];
    for (std::int32_t k = w.row_begin[group]; k < end; ++k) {
      float* to = y + static_cast<std::ptrdiff_t>(w.first_col[k]) * kLanes;
      const float* b = w.weights + 32 * static_cast<std::ptrdiff_t>(k);
      F32x16 s[kSums];
      for (int i = 0; i < kSums; ++i) s[i] = load(to + 16 * i);
      for (int o = 0; o < 8; ++o) {
        for (int i = 0; i < kSums; ++i) {
          s[i] = fma(set_units<kLanes>(b + 4 * o + kUnits * i), v[o], s[i]);
        }
      }
      for (int i = 0; i < kSums; ++i) store(to + 16 * i, s[i]);
    }
  }
}

inline void lane_product_back_f32(const LaneBlocks& w, std::int32_t lanes, const float* x,
                                  std::int32_t x_stride, float* y) PYVOC_RT {
  lanes == 16 ? lane_product_back<16>(w, x, x_stride, y) : lane_product_back<8>(w, x, x_stride, y);
}

// The sum of each of 16 vectors.
inline F32x16 sum_each(F32x16 (&v)[16]) {
  transpose(v);
  for (int n = 8; n > 0; n /= 2) {
    for (int i = 0; i < n; ++i) v[i] = add(v[i], v[i + n]);
  }
  return v[0];
}

// Sums over `vectors` vectors of four rows of d times four columns of h, 16 sums in one vector. The
// vectors of two neighbours are `stride` floats apart.
inline F32x16 outer_sums(const float* d, std::int32_t d_stride, const float* h,
                         std::int32_t h_stride, std::int32_t vectors) {
  if constexpr (kBestLanes == 16) {  // registers enough for all of them
    F32x16 s[16];
    for (F32x16& v : s) v = zero();
    for (std::int32_t t = 0; t < vectors; ++t) {
      F32x16 a[4];
      for (int i = 0; i < 4; ++i) a[i] = load(h + i * h_stride + 16 * t);
      for (int o = 0; o < 4; ++o) {
        const F32x16 v = load(d + o * d_stride + 16 * t);
        for (int i = 0; i < 4; ++i) s[4 * o + i] = fma(v, a[i], s[4 * o + i]);
      }
    }
    return sum_each(s);
  }
  F32x16 s[8];  // the halves are two rows
  for (int o = 0; o < 2; ++o) {
    const float *low = d + o * d_stride, *high = low + 2 * d_stride;
    F32x16 m[4] = {zero(), zero(), zero(), zero()};
    for (std::int32_t t = 0; t < 16 * vectors; t += 8) {
      const F32x16 v = load_halves(low + t, high + t);
      for (int i = 0; i < 4; ++i) {
        const float* in = h + i * h_stride + t;
        m[i] = fma(v, load_halves(in, in), m[i]);
      }
    }
    for (int i = 0; i < 4; ++i) s[4 * o + i] = m[i];
  }
  transpose_halves(s);
  for (int n = 4; n > 0; n /= 2) {
    for (int i = 0; i < n; ++i) s[i] = add(s[i], s[i + n]);
  }
  return s[0];
}

inline void lane_outer_f32(const LaneBlocks& w, const float* d, std::int32_t d_stride,
                           const float* h, std::int32_t h_stride, std::int32_t vectors,
                           float* gradient) PYVOC_RT {
  const std::int32_t blocks = w.row_begin[w.row_groups];
  for (std::int32_t k = 0; k < blocks; ++k) {
    const float* in = h + static_cast<std::ptrdiff_t>(w.first_col[k]) * h_stride;
    const float* out = d + static_cast<std::ptrdiff_t>(w.first_row[k]) * d_stride;
    for (int half = 0; half < 2; ++half, out += 4 * d_stride, gradient += 16) {
      store(gradient, add(load(gradient), outer_sums(out, d_stride, in, h_stride, vectors)));
    }
  }
}

// Places below are of the first unit of a vector.
template <int kLanes, bool kDiag>
inline F32x16 lane_recurrent(const LaneGru& g, std::int32_t unit, F32x16 h) {
  F32x16 m = add(load(g.product + kLanes * unit), set_units<kLanes>(g.bias + unit));
  if constexpr (kDiag) m = fma(set_units<kLanes>(g.diag + unit), h, m);
  return m;
}

template <int kLanes>
inline F32x16 lane_input(const LaneGru& g, std::int32_t unit) {
  const F32x16 x = load(g.frame + kLanes * unit);
  return g.sample == nullptr ? x : add(x, load(g.sample + kLanes * unit));
}

template <int kLanes, bool kDiag>
inline void lane_gru(const LaneGru& g) {
  const std::int32_t n = g.units;
  const auto recurrent = [&](std::int32_t unit, F32x16 h) {
    return lane_recurrent<kLanes, kDiag>(g, unit, h);
  };
  for (std::int32_t i = 0; i < n; i += 16 / kLanes) {
    const F32x16 h = load_units<kLanes>(g.state + i * g.state_stride, g.state_stride);
    const F32x16 r = sigmoid<Precision::kPrecise>(add(lane_input<kLanes>(g, i), recurrent(i, h)));
    const F32x16 z =
        sigmoid<Precision::kPrecise>(add(lane_input<kLanes>(g, n + i), recurrent(n + i, h)));
    const F32x16 m = recurrent(2 * n + i, h);
    const F32x16 c = tanh<Precision::kPrecise>(fma(r, m, lane_input<kLanes>(g, 2 * n + i)));
    store_units<kLanes>(g.next + i * g.state_stride, g.state_stride, fma(z, sub(h, c), c));
    store(g.kept + kLanes * i, r);
    store(g.kept + kLanes * (n + i), z);
    store(g.kept + kLanes * (2 * n + i), c);
    store(g.kept + kLanes * (3 * n + i), m);
  }
}

template <int kLanes>
inline void lane_gru(const LaneGru& g) {
  g.diag != nullptr ? lane_gru<kLanes, true>(g) : lane_gru<kLanes, false>(g);
}

inline void lane_gru_f32(const LaneGru& g) PYVOC_RT {
  g.lanes == 16 ? lane_gru<16>(g) : lane_gru<8>(g);
}

template <int kLanes, bool kDiag>
inline void lane_gru_back(const LaneGruBack& g) {
  const std::int32_t n = g.units;
  const F32x16 one = set1(1.0f);
  for (std::int32_t i = 0; i < n; i += 16 / kLanes) {
    const F32x16 h = load_units<kLanes>(g.state + i * g.state_stride, g.state_stride);
    const F32x16 r = load(g.kept + kLanes * i), z = load(g.kept + kLanes * (n + i));
    const F32x16 c = load(g.kept + kLanes * (2 * n + i)), m = load(g.kept + kLanes * (3 * n + i));
    const F32x16 dh = add(load(g.d_state + kLanes * i), load(g.d_out + kLanes * i));
    const F32x16 dc = mul(mul(dh, sub(one, z)), sub(one, mul(c, c)));
    const F32x16 dz = mul(mul(dh, sub(h, c)), mul(z, sub(one, z)));
    const F32x16 dr = mul(mul(dc, m), mul(r, sub(one, r)));
    const F32x16 inputs[3] = {dr, dz, dc};
    const F32x16 products[3] = {dr, dz, mul(dc, r)};
    F32x16 back = mul(dh, z);
    for (std::int32_t gate = 0; gate < 3; ++gate) {
      const std::int32_t unit = gate * n + i, at = kLanes * unit;
      store(g.d_sample + at, inputs[gate]);
      store(g.d_frame + at, add(load(g.d_frame + at), inputs[gate]));
      store_units<kLanes>(g.d_product + unit * g.product_stride, g.product_stride, products[gate]);
      store(g.d_bias + at, add(load(g.d_bias + at), products[gate]));
      if constexpr (kDiag) {
        store(g.d_diag + at, fma(products[gate], h, load(g.d_diag + at)));
        back = fma(set_units<kLanes>(g.diag + unit), products[gate], back);
      }
    }
    store(g.d_state + kLanes * i, back);
  }
}

template <int kLanes>
inline void lane_gru_back(const LaneGruBack& g) {
  g.diag != nullptr ? lane_gru_back<kLanes, true>(g) : lane_gru_back<kLanes, false>(g);
}

inline void lane_gru_back_f32(const LaneGruBack& g) PYVOC_RT {
  g.lanes == 16 ? lane_gru_back<16>(g) : lane_gru_back<8>(g);
}

inline void lanes_from_rows_f32(const float* x, std::ptrdiff_t x_stride, std::int32_t lanes,
                                std::int32_t units, float* y, std::ptrdiff_t y_stride) PYVOC_RT {
  for (std::int32_t k = 0; k < units; k += 16, x += 16, y += 16 * y_stride) {
    if (lanes == 16) {
      F32x16 v[16];
      for (int i = 0; i < 16; ++i) v[i] = load(x + i * x_stride);
      transpose(v);
      for (int i = 0; i < 16; ++i) store(y + i * y_stride, v[i]);
    } else {
      F32x16 v[8];
      for (int i = 0; i < 8; ++i) v[i] = load(x + i * x_stride);
      transpose_halves(v);
      for (int i = 0; i < 8; ++i) store_halves(y + i * y_stride, y + (8 + i) * y_stride, v[i]);
    }
  }
}

inline void rows_from_lanes_f32(const float* x, std::ptrdiff_t x_stride, std::int32_t lanes,
                                std::int32_t units, float* y, std::ptrdiff_t y_stride) PYVOC_RT {
  for (std::int32_t k = 0; k < units; k += 16, x += 16 * x_stride, y += 16) {
    if (lanes == 16) {
      F32x16 v[16];
      for (int i = 0; i < 16; ++i) v[i] = load(x + i * x_stride);
      transpose(v);
      for (int i = 0; i < 16; ++i) store(y + i * y_stride, v[i]);
    } else {
      F32x16 v[8];
      for (int i = 0; i < 8; ++i) v[i] = load_halves(x + i * x_stride, x + (8 + i) * x_stride);
      transpose_halves(v);
      for (int i = 0; i < 8; ++i) store(y + i * y_stride, v[i]);
    }
  }
}

inline void transpose_tiles_f32(const float* x, std::ptrdiff_t x_stride, std::ptrdiff_t x_step,
                                float* y, std::ptrdiff_t y_stride, std::ptrdiff_t y_step,
                                std::int32_t tiles) PYVOC_RT {
  for (std::int32_t k = 0; k < tiles; ++k, x += x_step, y += y_step) {
    F32x16 v[16];
    for (int i = 0; i < 16; ++i) v[i] = load(x + i * x_stride);
    transpose(v);
    for (int i = 0; i < 16; ++i) store(y + i * y_stride, v[i]);
  }
}

inline void mix_rows_f32(const float* const* rows, const float* weights, std::int32_t count,
                         float* y, std::int32_t n) PYVOC_RT {
  for (std::int32_t i = 0; i < n; i += 16) {
    F32x16 s = zero();
    for (std::int32_t k = 0; k < count; ++k) s = fma(set1(weights[k]), load(rows[k] + i), s);
    store(y + i, s);
  }
}

inline void spread_row_f32(const float* x, const float* weights, std::int32_t count,
                           float* const* rows, std::int32_t n) PYVOC_RT {
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

inline void tree_nll_f32(const TreeNll& t) PYVOC_RT {
  for (std::int32_t i = 0; i < t.count; ++i) tree_nll_one(t, i);
}

}  // namespace
}  // namespace pyvoc::kernels
