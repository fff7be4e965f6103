// Dense products for several inputs at once: a weight is read once for a tile of inputs. Float sums
// are added in the order of dense.inl, so every input gets the bits that it gets alone: there, the
// panels of a group share the registers between column phases, and the phases are added at the end;
// here the phases are done one after the other.

namespace pyvoc::kernels {
namespace {

// Asks for weights that the next tile needs. They may lie behind the last ones.
inline void prefetch(const void* p) {
#if defined(__GNUC__)
  __builtin_prefetch(p, 0, 2);
#else
  (void)p;
#endif
}

template <typename T>
struct Columns;
template <>
struct Columns<float> {
  F32x16 first;
  explicit Columns(const float* w) : first(load(w)) {}
  F32x16 multiply(const float* x, F32x16 acc) const { return fma(first, set1(x[0]), acc); }
};
template <>
struct Columns<Bf16> {
  F32x16 first, second;
  explicit Columns(const Bf16* w) { load_pairs(w, first, second); }
  F32x16 multiply(const float* x, F32x16 acc) const {
    return fma(second, set1(x[1]), fma(first, set1(x[0]), acc));
  }
};

// kPanels panels from `w` on for kRows inputs; y and init begin at `at`.
template <int kPhases, int kPanels, int kRows, typename T>
inline void dense_tile(const T* w, std::int32_t cols, std::int32_t at, const float* const* x,
                       const float* const* init, float* const* y) {
  constexpr int kGroup = std::is_same<T, float>::value ? 1 : 2;
  const std::int64_t panel = std::int64_t{16} * cols;
  const std::int32_t whole = cols / (kPhases * kGroup) * (kPhases * kGroup);
  for (int phase = 0; phase < kPhases; ++phase) {
    F32x16 acc[kPanels][kRows];
    unrolled<kPanels>([&](auto p) {
      unrolled<kRows>([&](auto r) {
        acc[p.value][r.value] =
            phase == 0 && init != nullptr ? load(init[r.value] + at + 16 * p.value) : zero();
      });
    });
    const auto column = [&](std::int32_t c) {
      unrolled<kPanels>([&](auto p) {
        const T* from = w + p.value * panel + 16 * c;
        prefetch(from + kPanels * panel);
        const Columns<T> weights(from);
        unrolled<kRows>([&](auto r) {
          acc[p.value][r.value] = weights.multiply(x[r.value] + c, acc[p.value][r.value]);
        });
      });
    };
    for (std::int32_t c = phase * kGroup; c < whole; c += kPhases * kGroup) column(c);
    if (phase == 0) {
      for (std::int32_t c = whole; c < cols; c += kGroup) column(c);
    }
    unrolled<kPanels>([&](auto p) {
      unrolled<kRows>([&](auto r) {
        float* to = y[r.value] + at + 16 * p.value;
        store(to, phase == 0 ? acc[p.value][r.value] : add(load(to), acc[p.value][r.value]));
      });
    });
  }
}

template <int kPanels, int kRows>
inline void dense_tile_i8(const Dense<std::int8_t>& w, std::int32_t first,
                          const std::uint8_t* const* u, std::int32_t* const* y) {
  const std::int32_t quads = w.cols / 4;
  const std::int64_t panel = std::int64_t{64} * quads;
  const std::int8_t* weights = w.weights + panel * first;
  I32x16 acc[kPanels][kRows];
  unrolled<kPanels>(
      [&](auto p) { unrolled<kRows>([&](auto r) { acc[p.value][r.value] = izero(); }); });
  for (std::int32_t q = 0; q < quads; ++q) {
    unrolled<kPanels>([&](auto p) {
      const I8x64 loaded = load_weights(weights + p.value * panel + 64 * q);
      unrolled<kRows>([&](auto r) {
        acc[p.value][r.value] = dot_rows(acc[p.value][r.value], u[r.value] + 4 * q, loaded);
      });
    });
  }
  unrolled<kPanels>([&](auto p) {
    const std::int32_t* sums = w.row_sums + 16 * (first + p.value);
    unrolled<kRows>([&](auto r) {
      store(y[r.value] + 16 * (first + p.value), dot_finish(acc[p.value][r.value], sums, sums + 8));
    });
  });
}

constexpr int kManyRows = kTileRows < 8 ? kTileRows : 8;  // more have no registers for pointers

// Calls tile(Index<kRows>, first row) while so many rows are left.
template <int kRows, typename Tile>
inline std::int32_t tile_rows(std::int32_t rows, std::int32_t first, const Tile& tile) {
  for (; first + kRows <= rows; first += kRows) tile(Index<kRows>(), first);
  return first;
}

// All rows in tiles of one of two sizes; the first one that is in none of them.
template <typename Tile>
inline std::int32_t for_rows(std::int32_t rows, const Tile& tile) {
  std::int32_t r = tile_rows<kManyRows>(rows, 0, tile);
  if constexpr (kManyRows > 4) r = tile_rows<4>(rows, r, tile);
  return r;
}

// A group of panels that dense.inl does at once, in tiles that fit the registers.
template <typename T>
struct DenseManyRun {
  const Dense<T>& w;
  const float* const* x;
  const float* const* init;
  float* const* y;
  std::int32_t rows;
  template <int kPanels>
  void call(std::int32_t first) const {
    constexpr int kTile = kPanels < kTilePanels ? kPanels : kTilePanels;
    const T* weights = w.weights + std::int64_t{16} * w.cols * first;
    std::int32_t row = for_rows(rows, [&](auto count, std::int32_t r) {
      const float* const* start = init == nullptr ? nullptr : init + r;
      std::int32_t p = 0;
      for (; p + kTile <= kPanels; p += kTile) {
        dense_tile<phases(kPanels), kTile, count.value>(
            weights + std::int64_t{16} * w.cols * p, w.cols, 16 * (first + p), x + r, start, y + r);
      }
      for (; p < kPanels; ++p) {
        dense_tile<phases(kPanels), 1, count.value>(weights + std::int64_t{16} * w.cols * p, w.cols,
                                                    16 * (first + p), x + r, start, y + r);
      }
    });
    for (; row < rows; ++row) {
      dense_panels<kPanels>(weights, w.cols, x[row],
                            init == nullptr ? nullptr : init[row] + 16 * first,
                            y[row] + 16 * first);
    }
  }
};

struct DenseManyRunI8 {
  const Dense<std::int8_t>& w;
  const std::uint8_t* const* u;
  std::int32_t* const* y;
  std::int32_t rows;
  template <int kPanels>
  void call(std::int32_t first) const {
    std::int32_t row = for_rows(rows, [&](auto count, std::int32_t r) {
      // As many accumulators for few rows as for many: products take several cycles.
      constexpr int kWide = count.value * 2 <= kManyRows ? 2 * kTilePanels : kTilePanels;
      constexpr int kTile = kPanels < kWide ? kPanels : kWide;
      std::int32_t p = 0;
      for (; p + kTile <= kPanels; p += kTile) {
        dense_tile_i8<kTile, count.value>(w, first + p, u + r, y + r);
      }
      for (; p < kPanels; ++p) dense_tile_i8<1, count.value>(w, first + p, u + r, y + r);
    });
    for (; row < rows; ++row) {
      dense_panels_i8<kPanels>(w.weights + std::int64_t{16} * w.cols * first, w.cols / 4,
                               w.row_sums + 16 * first, u[row], y[row] + 16 * first);
    }
  }
};

inline void dense_f32_many(const Dense<float>& w, const float* const* x, const float* const* init,
                           float* const* y, std::int32_t rows) PYVOC_RT {
  for_panels<kPanelGroup>(w.panels, 0, DenseManyRun<float>{w, x, init, y, rows});
}

inline void dense_bf16_many(const Dense<Bf16>& w, const float* const* x, const float* const* init,
                            float* const* y, std::int32_t rows) PYVOC_RT {
  for_panels<kPanelGroup>(w.panels, 0, DenseManyRun<Bf16>{w, x, init, y, rows});
}

inline void dense_i8_many(const Dense<std::int8_t>& w, const std::uint8_t* const* u,
                          std::int32_t* const* y, std::int32_t rows) PYVOC_RT {
  for_panels<2 * kTilePanels>(w.panels, 0, DenseManyRunI8{w, u, y, rows});
}

}  // namespace
}  // namespace pyvoc::kernels
