// A segment of a tile of a convolution in products of bfloat16, which need rounded inputs.

namespace pyvoc::kernels {
namespace {

#if defined(PYVOC_SIMD_BF16_PRODUCTS)
constexpr bool kBf16Products = true;

// In the place of conv.inl's. Inputs are rounded here, some columns of a tile at a time: that costs
// little beside their products with two panels, and layers keep passing floats.
template <int kRows, int kPanels>
inline PYVOC_ALWAYS_INLINE void add_segment(const Bf16*& weights, std::int64_t panel,
                                            const ConvInput<float>& in, std::int32_t segment,
                                            std::int32_t row, bool ahead,
                                            F32x16 (&acc)[kRows][kPanels]) {
  constexpr std::int32_t kMost = 128;
  alignas(64) Bf16 near[kRows * kMost];
  RowPointers<kRows, float> x(in, segment, row);
  for (std::int32_t left = in.cols[segment]; left > 0; left -= kMost) {
    const std::int32_t columns = left < kMost ? left : kMost;
    for (std::int32_t c = 0; c < columns; c += 16) {
      unrolled<kRows>([&](auto r) PYVOC_ALWAYS_INLINE {
        store_bf16(near + r.value * kMost + c, load(x.at(r.value) + c));
      });
    }
    for (std::int32_t c = 0; c < columns; c += 4) {
      if (ahead) prefetch_panels<kPanels, sizeof(Bf16)>(weights + kPanels * panel, panel);
      unrolled<2>([&](auto k) PYVOC_ALWAYS_INLINE {
        Bf16x32 w[kPanels];
        unrolled<kPanels>(
            [&](auto p) { w[p.value] = load_bf16(weights + p.value * panel + 32 * k.value); });
        unrolled<kRows>([&](auto r) PYVOC_ALWAYS_INLINE {
          const Bf16x32 pair = set1_pair(near + r.value * kMost + c + 2 * k.value);
          unrolled<kPanels>([&](auto p) {
            acc[r.value][p.value] = dot_bf16(acc[r.value][p.value], w[p.value], pair);
          });
        });
      });
      weights += 64;
    }
    x.advance(columns);
  }
}
#else
constexpr bool kBf16Products = false;
#endif

}  // namespace
}  // namespace pyvoc::kernels
