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

template <int kRows, int kPanels, typename T>
inline void gated_sums(const Dense<T>& w, const GatedRows<float>& job, std::int32_t row,
                       std::int32_t first, bool ahead, F32x16 (&sums)[kRows][kPanels]) {
  const std::int64_t panel = std::int64_t{16} * w.cols;
  const T* weights = w.weights + first * panel + 16 * job.column;
  const std::int64_t at = row * job.sums_stride + 16 * first;
  F32x16 acc[kRows][kPanels];
  if (job.begin == nullptr) {
    begin_at_bias(job.out, first, acc);
  } else {
    unrolled<kRows>([&](auto r) {
      unrolled<kPanels>([&](auto p) {
        acc[r.value][p.value] = load(job.begin + at + r.value * job.sums_stride + 16 * p.value);
      });
    });
  }
  F32x16 once[kRows][kPanels];
  for (std::int32_t s = 0; s < job.in.segments; ++s) {
    add_segment(weights, panel, job.in, s, row, ahead, acc);
    if (job.leave == nullptr || s > 1) continue;
    unrolled<kRows>([&](auto r) {
      unrolled<kPanels>([&](auto p) {
        const F32x16 sum = acc[r.value][p.value];
        F32x16& first_sum = once[r.value][p.value];
        if (s == 0) {
          first_sum = sum;
        } else {
          store(job.leave + at + r.value * job.sums_stride + 16 * p.value,
                sub(add(first_sum, first_sum), sum));
        }
      });
    });
  }
  unrolled<kRows>([&](auto r) {
    unrolled<kPanels>([&](auto p) { sums[r.value][p.value] = acc[r.value][p.value]; });
  });
}

template <int kRows, typename T>
inline void gated_tile(const Dense<T>& w, const GatedRows<float>& job, std::int32_t row,
                       std::int32_t first, bool ahead) {
  F32x16 sums[kRows][2];
  pair_sums(first, sums,
            [&](std::int32_t panel, auto& acc) { gated_sums(w, job, row, panel, ahead, acc); });
  constexpr Precision kPrecision =
      kBf16Products && std::is_same<T, Bf16>::value ? Precision::kFast : Precision::kPrecise;
  const std::int32_t column = 8 * first;
  for (int r = 0; r < kRows; ++r) {
    finish_gate<kPrecision>(job.out, (row + r) * job.out.stride + column, column, sums[r][0],
                            sums[r][1]);
  }
}

template <int kRows>
inline void gated_tile(const Dense<std::int8_t>& w, const GatedRows<std::uint8_t>& job,
                       std::int32_t row, std::int32_t first, bool ahead) {
  I32x16 sums[kRows][2];
  pair_sums(first, sums,
            [&](std::int32_t panel, auto& acc) { tile_sums(w, job.in, row, panel, ahead, acc); });
  const std::int32_t column = 8 * first;
  for (int r = 0; r < kRows; ++r) {
    finish_gate<Precision::kFast>(job.out, (row + r) * job.out.stride + column, column,
                                  real_sum(w, job.out, 16 * first, sums[r][0]),
                                  real_sum(w, job.out, 16 * first + 16, sums[r][1]));
  }
}

template <int kRows, typename T, typename X>
inline void gated_tiles(std::int32_t rows, const Dense<T>& w, const GatedRows<X>& job,
                        std::int32_t row, std::int32_t first, bool ahead) {
  if constexpr (kRows > 1) {
    if (rows < kRows) return gated_tiles<kRows - 1>(rows, w, job, row, first, ahead);
  }
  gated_tile<kRows>(w, job, row, first, ahead);
}

// All rows of a pair of panels before the next pair; the last tile of columns asks for the next
// weights.
template <typename T, typename X>
inline void gated_conv(const Dense<T>& w, const GatedRows<X>* jobs, std::int32_t count) {
  constexpr int kMost = std::is_same<X, std::uint8_t>::value ? kByteTileRows : kTileRows;
  for (std::int32_t panel = 0; panel + 2 <= w.panels; panel += 2) {
    for (std::int32_t j = 0; j < count; ++j) {
      const GatedRows<X>& job = jobs[j];
      const bool last = j == count - 1 || jobs[j + 1].column != job.column;
      const std::int32_t tiles = (job.rows + kMost - 1) / kMost;
      std::int32_t row = 0;
      for (std::int32_t i = 0; i < tiles; ++i) {
        const std::int32_t height = (job.rows - row + tiles - i - 1) / (tiles - i);
        const bool ahead = last && i == tiles - 1 && panel + 4 <= w.panels;
        gated_tiles<kMost>(height, w, job, row, panel, ahead);
        row += height;
      }
    }
  }
}

inline void gated_conv_f32(const Dense<float>& w, const GatedRows<float>* jobs,
                           std::int32_t count) PYVOC_RT {
  gated_conv(w, jobs, count);
}
inline void gated_conv_bf16(const Dense<Bf16>& w, const GatedRows<float>* jobs,
                            std::int32_t count) PYVOC_RT {
  gated_conv(w, jobs, count);
}
inline void gated_conv_i8(const Dense<std::int8_t>& w, const GatedRows<std::uint8_t>* jobs,
                          std::int32_t count) PYVOC_RT {
  gated_conv(w, jobs, count);
}

// What a row's products are of (nn/gated_conv.h): x, and the rows that lie `reach` numbers before
// and behind it.
inline void pair_inputs_f32(const float* x, std::ptrdiff_t reach, std::int32_t n, float* sum,
                            float* step, float* span) PYVOC_RT {
  for (std::int32_t i = 0; i < n; i += 16) {
    const F32x16 here = load(x + i), after = load(x + i + reach);
    if (sum != nullptr) store(sum + i, add(after, here));
    if (step != nullptr) store(step + i, sub(after, here));
    store(span + i, sub(after, load(x + i - reach)));
  }
}

}  // namespace
}  // namespace pyvoc::kernels
