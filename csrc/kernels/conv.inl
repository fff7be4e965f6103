// Convolutions as products of a tile of rows with a few panels of outputs: every weight that is
// loaded serves all rows of the tile, every input all its panels. A sum is one chain in the order
// of the columns, whatever tile its row is in, so samples do not depend on how rows are grouped.

namespace pyvoc::kernels {
namespace {

inline void store_bytes(std::uint8_t* p, F32x16 v, const float* inverse, const float* offset) {
  // In floats: integers would round halves another way, and turn what is beyond 32 bits over.
  const F32x16 middle = set1(127.0f);
  store_u8(p, add(clamp(fma(v, load(inverse), load(offset)), middle), middle));
}

// The 16 values of a row from output `column` on, which lie at `at`.
inline PYVOC_ALWAYS_INLINE void finish_sum(const ConvOutput& out, std::int64_t at,
                                           std::int32_t column, F32x16 v) {
  if (out.add != nullptr) v = add(v, load(out.add + at));
  const F32x16 active = max(v, mul(v, set1(out.leak)));
  if (out.value != nullptr) store(out.value + at, v);
  if (out.active != nullptr) store(out.active + at, active);
  if (out.value_u8 != nullptr) {
    store_bytes(out.value_u8 + at, v, out.value_inverse + column, out.value_offset + column);
  }
  if (out.active_u8 != nullptr) {
    store_bytes(out.active_u8 + at, active, out.active_inverse + column,
                out.active_offset + column);
  }
}

// acc[row][panel] += four columns; w is the first panel's, the next lie `panel` apart.
template <int kRows, int kPanels>
inline PYVOC_ALWAYS_INLINE void add_columns(F32x16 (&acc)[kRows][kPanels], const float* w,
                                            std::int64_t panel,
                                            const RowPointers<kRows, float>& x) {
  unrolled<4>([&](auto c) PYVOC_ALWAYS_INLINE {
    F32x16 weights[kPanels];
    unrolled<kPanels>([&](auto p) { weights[p.value] = load(w + p.value * panel + 16 * c.value); });
    unrolled<kRows>([&](auto r) PYVOC_ALWAYS_INLINE {
      const F32x16 input = set1(x.at(r.value)[c.value]);
      unrolled<kPanels>([&](auto p) {
        acc[r.value][p.value] = fma(weights[p.value], input, acc[r.value][p.value]);
      });
    });
  });
}
template <int kRows, int kPanels>
inline PYVOC_ALWAYS_INLINE void add_columns(F32x16 (&acc)[kRows][kPanels], const Bf16* w,
                                            std::int64_t panel,
                                            const RowPointers<kRows, float>& x) {
  unrolled<2>([&](auto c) PYVOC_ALWAYS_INLINE {
    F32x16 even[kPanels], odd[kPanels];
    unrolled<kPanels>([&](auto p) {
      load_pairs(w + p.value * panel + 32 * c.value, even[p.value], odd[p.value]);
    });
    unrolled<kRows>([&](auto r) PYVOC_ALWAYS_INLINE {
      const float* pair = x.at(r.value) + 2 * c.value;
      const F32x16 first = set1(pair[0]), second = set1(pair[1]);
      unrolled<kPanels>([&](auto p) {
        F32x16& sum = acc[r.value][p.value];
        sum = fma(odd[p.value], second, fma(even[p.value], first, sum));
      });
    });
  });
}

template <int kRows, int kPanels>
inline PYVOC_ALWAYS_INLINE void begin_at_bias(const ConvOutput& out, std::int32_t first,
                                              F32x16 (&acc)[kRows][kPanels]) {
  unrolled<kPanels>([&](auto p) {
    const F32x16 bias = load(out.bias + 16 * (first + p.value));
    unrolled<kRows>([&](auto r) { acc[r.value][p.value] = bias; });
  });
}

// Adds a segment to the sums of a tile; `weights`, in panels that lie `panel` apart, moves past it.
template <int kRows, int kPanels, typename T>
inline PYVOC_ALWAYS_INLINE void add_segment(const T*& weights, std::int64_t panel,
                                            const ConvInput<float>& in, std::int32_t segment,
                                            std::int32_t row, bool ahead,
                                            F32x16 (&acc)[kRows][kPanels]) {
  RowPointers<kRows, float> x(in, segment, row);
  for (std::int32_t c = 0; c < in.cols[segment]; c += 4) {
    if (ahead) prefetch_panels<kPanels, sizeof(T)>(weights + kPanels * panel, panel);
    add_columns<kRows, kPanels>(acc, weights, panel, x);
    weights += 64;
    x.advance(4);
  }
}

template <int kRows, int kPanels, typename T>
inline void conv_tile(const Dense<T>& w, const ConvInput<float>& in, std::int32_t row,
                      std::int32_t first, const ConvOutput& out, bool ahead) {
  const std::int64_t panel = std::int64_t{16} * w.cols;
  const T* weights = w.weights + first * panel;
  F32x16 acc[kRows][kPanels];
  begin_at_bias(out, first, acc);
  for (std::int32_t s = 0; s < in.segments; ++s) {
    add_segment(weights, panel, in, s, row, ahead, acc);
  }
  unrolled<kRows>([&](auto r) {
    unrolled<kPanels>([&](auto p) {
      const std::int32_t column = 16 * (first + p.value);
      finish_sum(out, (row + r.value) * out.stride + column, column, acc[r.value][p.value]);
    });
  });
}

// The real value of a sum.
inline F32x16 real_sum(const Dense<std::int8_t>& w, const ConvOutput& out, std::int32_t column,
                       I32x16 sum) {
  const std::int32_t* sums = w.row_sums + column;
  return fma(to_float(dot_finish(sum, sums, sums + 8)), load(out.scale + column),
             load(out.bias + column));
}

template <int kRows, int kPanels>
inline void conv_tile(const Dense<std::int8_t>& w, const ConvInput<std::uint8_t>& in,
                      std::int32_t row, std::int32_t first, const ConvOutput& out, bool ahead) {
  I32x16 sums[kRows][kPanels];
  tile_sums(w, in, row, first, ahead, sums);
  // A rolled loop over rows: unrolled, GCC spills the sums that wait.
  for (int r = 0; r < kRows; ++r) {
    for (int p = 0; p < kPanels; ++p) {
      const std::int32_t column = 16 * (first + p);
      finish_sum(out, (row + r) * out.stride + column, column,
                 real_sum(w, out, column, sums[r][p]));
    }
  }
}

// Calls the tile of `rows` rows, 1..kRows.
template <int kRows, int kPanels, typename T, typename X>
inline void conv_rows(std::int32_t rows, const Dense<T>& w, const ConvInput<X>& in,
                      std::int32_t row, std::int32_t first, const ConvOutput& out, bool ahead) {
  if constexpr (kRows > 1) {
    if (rows < kRows) return conv_rows<kRows - 1, kPanels>(rows, w, in, row, first, out, ahead);
  }
  conv_tile<kRows, kPanels>(w, in, row, first, out, ahead);
}

// Tiles of nearly equal heights: a last tile of one row would cost as much as a full one. The last
// tile, whose weights are in the cache, asks for those of the next panels.
template <int kPanels, typename T, typename X>
inline void conv_panels(const Dense<T>& w, const ConvInput<X>& in, std::int32_t rows,
                        std::int32_t first, const ConvOutput& out) {
  constexpr int kMost = std::is_same<X, std::uint8_t>::value ? kByteTileRows : kTileRows;
  const std::int32_t tiles = (rows + kMost - 1) / kMost;
  std::int32_t row = 0;
  for (std::int32_t i = 0; i < tiles; ++i) {
    const std::int32_t height = (rows - row + tiles - i - 1) / (tiles - i);
    const bool ahead = i == tiles - 1 && first + 2 * kPanels <= w.panels;
    conv_rows<kMost, kPanels>(height, w, in, row, first, out, ahead);
    row += height;
  }
}

template <typename T, typename X>
inline void conv(const Dense<T>& w, const ConvInput<X>& in, std::int32_t rows,
                 const ConvOutput& out) {
  std::int32_t panel = 0;
  for (; panel + kTilePanels <= w.panels; panel += kTilePanels) {
    conv_panels<kTilePanels>(w, in, rows, panel, out);
  }
  if constexpr (kTilePanels > 1) {
    for (; panel < w.panels; ++panel) conv_panels<1>(w, in, rows, panel, out);
  }
}

inline void conv_f32(const Dense<float>& w, const ConvInput<float>& in, std::int32_t rows,
                     const ConvOutput& out) PYVOC_RT {
  conv(w, in, rows, out);
}
inline void conv_bf16(const Dense<Bf16>& w, const ConvInput<float>& in, std::int32_t rows,
                      const ConvOutput& out) PYVOC_RT {
  conv(w, in, rows, out);
}
inline void conv_i8(const Dense<std::int8_t>& w, const ConvInput<std::uint8_t>& in,
                    std::int32_t rows, const ConvOutput& out) PYVOC_RT {
  conv(w, in, rows, out);
}

inline void conv_finish_f32(const float* sums, std::int32_t panels, std::int32_t rows,
                            const ConvOutput& out) PYVOC_RT {
  for (std::int32_t row = 0; row < rows; ++row) {
    for (std::int32_t column = 0; column < 16 * panels; column += 16) {
      const F32x16 sum = load(sums + std::int64_t{row} * 16 * panels + column);
      const F32x16 bias = load(out.bias + column);
      finish_sum(out, row * out.stride + column, column,
                 out.scale == nullptr ? add(sum, bias) : fma(sum, load(out.scale + column), bias));
    }
  }
}

inline void row_dots_f32(const float* w, std::int32_t n, const float* x, std::ptrdiff_t stride,
                         std::int32_t rows, float bias, float* y) PYVOC_RT {
  for (std::int32_t row = 0; row < rows; row += 16) {
    F32x16 sums[16];
    for (int i = 0; i < 16; ++i) {
      const float* from = x + (std::int64_t{row} + i) * stride;
      F32x16 sum = zero();
      for (std::int32_t c = 0; c < n; c += 16) sum = fma(load(w + c), load(from + c), sum);
      sums[i] = sum;
    }
    transpose(sums);
    for (int width = 8; width > 0; width /= 2) {
      for (int i = 0; i < width; ++i) sums[i] = add(sums[i], sums[i + width]);
    }
    store(y + row, add(sums[0], set1(bias)));
  }
}

}  // namespace
}  // namespace pyvoc::kernels
