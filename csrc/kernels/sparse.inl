// Block-sparse matrix-vector products: only the non-zero blocks are stored and multiplied.

namespace pyvoc::kernels {
namespace {

template <typename T>
inline void sparse8x4(const Sparse8x4<T>& s, const float* x, float* y) {
  const T* w = s.weights;
  const std::uint32_t* offset = s.offsets;
  for (std::int32_t pair = 0; pair < s.pairs; ++pair) {
    Partials sums = zero_partials();
    for (std::int32_t i = s.counts[pair]; i > 0; --i, ++offset, w += 64) {
      sums = fma_blocks(sums, x + (*offset & 0xffffu), x + (*offset >> 16), w);
    }
    store_halves(y + s.rows[2 * pair], y + s.rows[2 * pair + 1], sum_columns(sums));
  }
}

inline void sparse8x4_f32(const Sparse8x4<float>& w, const float* x, float* y) PYVOC_RT {
  sparse8x4(w, x, y);
}

inline void sparse8x4_bf16(const Sparse8x4<Bf16>& w, const float* x, float* y) PYVOC_RT {
  sparse8x4(w, x, y);
}

template <typename Weights>
inline I32x16 block_i8(I32x16 acc, const std::uint8_t* u, std::uint32_t offset, Weights w) {
  return dot_halves(acc, u + (offset & 0xffffu), u + (offset >> 16), w);
}

inline void sparse8x4_i8(const Sparse8x4<std::int8_t>& s, const std::uint8_t* u,
                         std::int32_t* y) PYVOC_RT {
  const std::int8_t* w = s.weights;
  const std::uint32_t* offset = s.offsets;
  const std::int32_t *rows = s.rows, *count = s.counts, *last = s.counts + s.pairs;
  const std::int32_t* row_sums = s.row_sums;
  for (; count != last; ++count, rows += 2) {
    const std::uint32_t* end = offset + *count;
    I32x16 even = izero(), odd = izero();
    for (; end - offset >= 4; offset += 4, w += 256) {
      even = block_i8(even, u, offset[0], w);
      odd = block_i8(odd, u, offset[1], w + 64);
      even = block_i8(even, u, offset[2], w + 128);
      odd = block_i8(odd, u, offset[3], w + 192);
    }
    for (; offset != end; ++offset, w += 64) even = block_i8(even, u, *offset, w);
    store_halves(y + rows[0], y + rows[1],
                 dot_finish(add(even, odd), row_sums + rows[0], row_sums + rows[1]));
  }
}

inline void sparse8x4_i8_x4(const Sparse8x4<std::int8_t>& s, const std::uint8_t* const* u,
                            std::int32_t* const* y) PYVOC_RT {
  const std::int8_t* w = s.weights;
  const std::uint32_t* offset = s.offsets;
  const std::int32_t *rows = s.rows, *count = s.counts, *last = s.counts + s.pairs;
  const std::int32_t* row_sums = s.row_sums;
  const std::uint8_t *u0 = u[0], *u1 = u[1], *u2 = u[2], *u3 = u[3];
  std::int32_t *y0 = y[0], *y1 = y[1], *y2 = y[2], *y3 = y[3];
  for (; count != last; ++count, rows += 2) {
    const std::uint32_t* end = offset + *count;
    I32x16 a = izero(), b = izero(), c = izero(), d = izero();
    for (; offset != end; ++offset, w += 64) {
      const I8x64 weights = load_weights(w);
      a = block_i8(a, u0, *offset, weights);
      b = block_i8(b, u1, *offset, weights);
      c = block_i8(c, u2, *offset, weights);
      d = block_i8(d, u3, *offset, weights);
    }
    const std::int32_t low = rows[0], high = rows[1];
    const std::int32_t *low_sums = row_sums + low, *high_sums = row_sums + high;
    store_halves(y0 + low, y0 + high, dot_finish(a, low_sums, high_sums));
    store_halves(y1 + low, y1 + high, dot_finish(b, low_sums, high_sums));
    store_halves(y2 + low, y2 + high, dot_finish(c, low_sums, high_sums));
    store_halves(y3 + low, y3 + high, dot_finish(d, low_sums, high_sums));
  }
}

inline void sparse16x1_f32(const Sparse16x1& s, const float* x, float* y) PYVOC_RT {
  const float* w = s.weights;
  const std::uint16_t* offset = s.offsets;
  for (std::int32_t group = 0; group < s.groups; ++group) {
    const std::int32_t n = s.counts[group];
    F32x16 even = zero(), odd = zero();
    std::int32_t i = 0;
    for (; i + 4 <= n; i += 4, w += 64) {
      even = fma(load(w), set1(x[offset[i]]), even);
      odd = fma(load(w + 16), set1(x[offset[i + 1]]), odd);
      even = fma(load(w + 32), set1(x[offset[i + 2]]), even);
      odd = fma(load(w + 48), set1(x[offset[i + 3]]), odd);
    }
    for (; i < n; ++i, w += 16) even = fma(load(w), set1(x[offset[i]]), even);
    offset += n;
    store(y + 16 * group, add(even, odd));
  }
}

}  // namespace
}  // namespace pyvoc::kernels
