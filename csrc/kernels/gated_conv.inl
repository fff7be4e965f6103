// Convolutions whose outputs gate each other: of every two neighbouring panels of sums, the first
// is squashed by tanh and multiplied by the logistic function of the second. Both panels of a row
// are finished together.

namespace pyvoc::kernels {
namespace {

// The 16 gated values of a row from unit `column` on, which lie at `at`.
template <Precision kPrecision>
inline void finish_gate(const ConvOutput& out, std::int64_t at, std::int32_t column, F32x16 signal,
                        F32x16 gate) {
  const F32x16 v = mul(tanh<kPrecision>(signal), sigmoid<kPrecision>(gate));
  if (out.value != nullptr) store(out.value + at, v);
  if (out.value_u8 != nullptr) {
    store_bytes(out.value_u8 + at, v, out.value_inverse + column, out.value_offset + column);
  }
}

// Two panels of sums, one after the other where the tier's tiles are one panel wide.
template <int kRows, typename Sum, typename Sums>
inline void pair_sums(std::int32_t first, Sum (&both)[kRows][2], const Sums& sums) {
  if constexpr (kTilePanels > 1) {
    sums(first, both);
  } else {
    for (int p = 0; p < 2; ++p) {
      Sum one[kRows][1];
      sums(first + p, one);
      for (int r = 0; r < kRows; ++r) both[r][p] = one[r][0];
    }
  }
}

template <int kRows, typename T>
inline void gated_tile(const Dense<T>& w, const ConvInput<float>& in, std::int32_t row,
                       std::int32_t first, const ConvOutput& out, bool ahead) {
  F32x16 sums[kRows][2];
  pair_sums(first, sums, [&](std::int32_t panel, auto& acc) {
    F32x16 tile[kRows][sizeof(acc[0]) / sizeof(F32x16)];
    tile_sums(w, in, row, panel, out, ahead, tile);
    unrolled<kRows>([&](auto r) {
      unrolled<sizeof(acc[0]) / sizeof(F32x16)>(
          [&](auto p) { acc[r.value][p.value] = tile[r.value][p.value]; });
    });
  });
  const std::int32_t column = 8 * first;
  for (int r = 0; r < kRows; ++r) {
    finish_gate<Precision::kPrecise>(out, (row + r) * out.stride + column, column, sums[r][0],
                                     sums[r][1]);
  }
}

template <int kRows>
inline void gated_tile(const Dense<std::int8_t>& w, const ConvInput<std::uint8_t>& in,
                       std::int32_t row, std::int32_t first, const ConvOutput& out, bool ahead) {
  I32x16 sums[kRows][2];
  pair_sums(first, sums,
            [&](std::int32_t panel, auto& acc) { tile_sums(w, in, row, panel, ahead, acc); });
  const std::int32_t column = 8 * first;
  for (int r = 0; r < kRows; ++r) {
    finish_gate<Precision::kFast>(out, (row + r) * out.stride + column, column,
                                  real_sum(w, out, 16 * first, sums[r][0]),
                                  real_sum(w, out, 16 * first + 16, sums[r][1]));
  }
}

template <int kRows, typename T, typename X>
inline void gated_rows(std::int32_t rows, const Dense<T>& w, const ConvInput<X>& in,
                       std::int32_t row, std::int32_t first, const ConvOutput& out, bool ahead) {
  if constexpr (kRows > 1) {
    if (rows < kRows) return gated_rows<kRows - 1>(rows, w, in, row, first, out, ahead);
  }
  gated_tile<kRows>(w, in, row, first, out, ahead);
}

template <typename T, typename X>
inline void gated_conv(const Dense<T>& w, const ConvInput<X>& in, std::int32_t rows,
                       const ConvOutput& out) {
  const std::int32_t tiles = (rows + kTileRows - 1) / kTileRows;
  for (std::int32_t panel = 0; panel + 2 <= w.panels; panel += 2) {
    std::int32_t row = 0;
    for (std::int32_t i = 0; i < tiles; ++i) {
      const std::int32_t height = (rows - row + tiles - i - 1) / (tiles - i);
      const bool ahead = i == tiles - 1 && panel + 4 <= w.panels;
      gated_rows<kTileRows>(height, w, in, row, panel, out, ahead);
      row += height;
    }
  }
}

inline void gated_conv_f32(const Dense<float>& w, const ConvInput<float>& in, std::int32_t rows,
                           const ConvOutput& out) noexcept {
  gated_conv(w, in, rows, out);
}
inline void gated_conv_bf16(const Dense<Bf16>& w, const ConvInput<float>& in, std::int32_t rows,
                            const ConvOutput& out) noexcept {
  gated_conv(w, in, rows, out);
}
inline void gated_conv_i8(const Dense<std::int8_t>& w, const ConvInput<std::uint8_t>& in,
                          std::int32_t rows, const ConvOutput& out) noexcept {
  gated_conv(w, in, rows, out);
}

}  // namespace
}  // namespace pyvoc::kernels
