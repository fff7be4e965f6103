// The int32 sums of a tile of a convolution: rows of inputs times panels of outputs.

namespace pyvoc::kernels {
namespace {

// Rows r = 0.. of a segment from a third as many pointers: an address is pointer + {0, 1, 2} *
// stride.
template <int kRows, typename X>
struct RowPointers {
  const X* base[(kRows + 2) / 3];
  std::ptrdiff_t stride;

  RowPointers(const ConvInput<X>& in, std::int32_t segment, std::int64_t row)
      : stride(in.stride[segment]) {
    for (int i = 0; i < (kRows + 2) / 3; ++i) {
      base[i] = in.base[segment] + (row + 3 * i) * stride;
    }
  }
  const X* at(int row) const { return base[row / 3] + row % 3 * stride; }
  void advance(int columns) {
    for (int i = 0; i < (kRows + 2) / 3; ++i) base[i] += columns;
  }
};

// Brings kLines cache lines of each of the panels to L2.
template <int kPanels, int kLines, typename T>
inline PYVOC_ALWAYS_INLINE void prefetch_panels(const T* weights, std::int64_t panel) {
#if defined(__GNUC__)
  unrolled<kPanels>([&](auto p) {
    const char* line = reinterpret_cast<const char*>(weights + p.value * panel);
    unrolled<kLines>([&](auto i) { __builtin_prefetch(line + 64 * i.value, 0, 2); });
  });
#else
  (void)weights, (void)panel;
#endif
}

#if defined(PYVOC_SIMD_CELLS)

constexpr bool kCells = true;
constexpr int kByteTileRows = 12;

// What a tile of rows and 8 outputs adds up to, put(row, sums): a cell's weights stay in registers
// for all rows. half_panel counts from the first of `cells`.
template <int kRows, typename Put>
inline PYVOC_ALWAYS_INLINE void half_sums(const Cells& cells, const ConvInput<std::uint8_t>& in,
                                          std::int32_t row, std::int32_t half_panel, bool ahead,
                                          const Put& put) {
  const std::int64_t cell = cells.first[half_panel];
  const std::int8_t* w = cells.weights + 32 * cell;
  const std::uint16_t* column = cells.columns + cell;
  const std::int32_t* count = cells.counts + std::ptrdiff_t{2} * cells.chunks * half_panel;
  const std::int32_t* cols = cells.chunk_cols;
  const std::int64_t next = ahead ? 32 * (cells.first[half_panel + 2] - cell) : 0;
  I32x8 acc[kRows];
  unrolled<kRows>([&](auto r) { acc[r.value] = izero8(); });
  for (std::int32_t s = 0; s < in.segments; ++s) {
    RowPointers<kRows, std::uint8_t> x(in, s, row);
    for (std::int32_t left = in.cols[s]; left > 0; left -= *cols, ++cols, count += 2) {
      for (std::int32_t n = count[0]; n > 0; --n, w += 64, column += 2) {
        if (ahead) prefetch_panels<1, 1>(w, next);
        const std::ptrdiff_t first = column[0], second = column[1];
        unrolled<kRows>([&](auto r) PYVOC_ALWAYS_INLINE {
          const std::uint8_t* u = x.at(r.value);
          acc[r.value] =
              add_pairs(acc[r.value], add(dot_pairs(u + first, w), dot_pairs(u + second, w + 32)));
        });
      }
      for (std::int32_t n = count[1]; n > 0; --n, w += 32, ++column) {
        if (ahead) prefetch_panels<1, 1>(w, next);
        const std::ptrdiff_t first = *column;
        unrolled<kRows>([&](auto r) PYVOC_ALWAYS_INLINE {
          acc[r.value] = add_pairs(acc[r.value], dot_pairs(x.at(r.value) + first, w));
        });
      }
      x.advance(*cols);
    }
  }
  unrolled<kRows>([&](auto r) { put(r.value, acc[r.value]); });
}

template <int kRows, int kPanels>
inline void tile_sums(const Dense<std::int8_t>& w, const ConvInput<std::uint8_t>& in,
                      std::int32_t row, std::int32_t first, bool ahead,
                      I32x16 (&kept)[kRows][kPanels]) {
  for (int p = 0; p < kPanels; ++p) {
    for (int half = 0; half < 2; ++half) {
      half_sums<kRows>(w.cells, in, row, 2 * (first + p) + half, ahead,
                       [&](int r, I32x8 sums) { set_half(kept[r][p], half, sums); });
    }
  }
}

#elif defined(PYVOC_SIMD_BYTE_TILE)

constexpr bool kCells = false;

template <int kRows, int kPanels>
inline PYVOC_ALWAYS_INLINE void tile_sums(const Dense<std::int8_t>& w,
                                          const ConvInput<std::uint8_t>& in, std::int32_t row,
                                          std::int32_t first, bool ahead,
                                          I32x16 (&kept)[kRows][kPanels]) {
  static_assert(kPanels == 1, "a tile of bytes is one panel wide");
  const std::int64_t panel = std::int64_t{16} * w.cols;
  const std::int8_t* weights = w.weights + first * panel;
  ByteTile<kRows> tile;
  for (std::int32_t s = 0; s < in.segments; ++s) {
    RowPointers<kRows, std::uint8_t> x(in, s, row);
    for (std::int32_t c = 0; c < in.cols[s]; c += 16) {
      if (ahead) prefetch_panels<1, 4>(weights + panel, panel);
      tile.add_columns(x, weights);
      weights += 256;
      x.advance(16);
    }
  }
  unrolled<kRows>([&](auto r) { kept[r.value][0] = tile.row(r); });
}

#else

constexpr bool kCells = false;
constexpr int kByteTileRows = kTileRows;

template <int kRows, int kPanels>
inline PYVOC_ALWAYS_INLINE void tile_sums(const Dense<std::int8_t>& w,
                                          const ConvInput<std::uint8_t>& in, std::int32_t row,
                                          std::int32_t first, bool ahead,
                                          I32x16 (&kept)[kRows][kPanels]) {
  const std::int64_t panel = std::int64_t{16} * w.cols;
  I32x16 acc[kRows][kPanels];
  unrolled<kRows>(
      [&](auto r) { unrolled<kPanels>([&](auto p) { acc[r.value][p.value] = izero(); }); });
  const std::int8_t* weights = w.weights + first * panel;
  for (std::int32_t s = 0; s < in.segments; ++s) {
    RowPointers<kRows, std::uint8_t> x(in, s, row);
    for (std::int32_t c = 0; c < in.cols[s]; c += 16) {
      unrolled<4>([&](auto q) PYVOC_ALWAYS_INLINE {
        I8x64 w_panel[kPanels];
        if (ahead) {
          prefetch_panels<kPanels, 1>(weights + kPanels * panel + 64 * q.value, panel);
        }
        unrolled<kPanels>([&](auto p) {
          w_panel[p.value] = load_weights(weights + p.value * panel + 64 * q.value);
        });
        unrolled<kRows>([&](auto r) {
          const Quad input = load_quad_lanes(x.at(r.value) + 4 * q.value);
          unrolled<kPanels>([&](auto p) {
            I32x16& sum = acc[r.value][p.value];
            sum = dot_any(sum, input, w_panel[p.value]);
          });
        });
      });
      weights += 256;
      x.advance(16);
    }
  }
  unrolled<kRows>([&](auto r) {
    unrolled<kPanels>([&](auto p) { kept[r.value][p.value] = acc[r.value][p.value]; });
  });
}

#endif

}  // namespace
}  // namespace pyvoc::kernels
