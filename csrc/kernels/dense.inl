// Dense matrix-vector products over panels of 16 rows: kPanels panels share each input broadcast,
// and several column phases keep enough independent accumulators to cover the latency of the
// products.

namespace pyvoc::kernels {
namespace {

constexpr int phases(int panels) {
  return kAccumulators / panels < 1 ? 1 : (kAccumulators / panels > 8 ? 8 : kAccumulators / panels);
}

// acc += W x for `kGroup` neighbouring columns of one panel.
inline F32x16 multiply_columns(const float* w, const F32x16* x, F32x16 acc) {
  return fma(load(w), x[0], acc);
}
inline F32x16 multiply_columns(const Bf16* w, const F32x16* x, F32x16 acc) {
  F32x16 first, second;
  load_pairs(w, first, second);
  return fma(second, x[1], fma(first, x[0], acc));
}

template <int kPanels, typename T>
inline void dense_panels(const T* w, std::int32_t cols, const float* x, const float* init,
                         float* y) {
  constexpr int kGroup = std::is_same<T, float>::value ? 1 : 2;
  constexpr int kPhases = phases(kPanels);
  const std::int64_t panel = std::int64_t{16} * cols;
  F32x16 acc[kPanels][kPhases];
  unrolled<kPanels>([&](auto p) {
    unrolled<kPhases>([&](auto f) { acc[p.value][f.value] = zero(); });
    if (init != nullptr) acc[p.value][0] = load(init + 16 * p.value);
  });
  std::int32_t c = 0;
  for (; c + kPhases * kGroup <= cols; c += kPhases * kGroup) {
    unrolled<kPhases>([&](auto f) {
      const std::int32_t at = c + f.value * kGroup;
      const F32x16 input[2] = {set1(x[at]), set1(x[at + kGroup - 1])};
      unrolled<kPanels>([&](auto p) {
        F32x16& sum = acc[p.value][f.value];
        sum = multiply_columns(w + p.value * panel + 16 * at, input, sum);
      });
    });
  }
  for (; c < cols; c += kGroup) {
    const F32x16 input[2] = {set1(x[c]), set1(x[c + kGroup - 1])};
    unrolled<kPanels>([&](auto p) {
      acc[p.value][0] = multiply_columns(w + p.value * panel + 16 * c, input, acc[p.value][0]);
    });
  }
  unrolled<kPanels>([&](auto p) {
    unrolled<kPhases - 1>(
        [&](auto f) { acc[p.value][0] = add(acc[p.value][0], acc[p.value][f.value + 1]); });
    store(y + 16 * p.value, acc[p.value][0]);
  });
}

template <int kPanels>
inline void dense_panels_i8(const std::int8_t* w, std::int32_t quads, const std::int32_t* row_sums,
                            const std::uint8_t* u, std::int32_t* y) {
  constexpr int kPhases = phases(kPanels);
  const std::int64_t panel = std::int64_t{64} * quads;
  I32x16 acc[kPanels][kPhases];
  unrolled<kPanels>(
      [&](auto p) { unrolled<kPhases>([&](auto f) { acc[p.value][f.value] = izero(); }); });
  std::int32_t q = 0;
  for (; q + kPhases <= quads; q += kPhases) {
    unrolled<kPhases>([&](auto f) {
      unrolled<kPanels>([&](auto p) {
        I32x16& sum = acc[p.value][f.value];
        const std::int32_t at = q + f.value;
        sum = dot_rows(sum, u + 4 * at, w + p.value * panel + 64 * at);
      });
    });
  }
  for (; q < quads; ++q) {
    unrolled<kPanels>([&](auto p) {
      acc[p.value][0] = dot_rows(acc[p.value][0], u + 4 * q, w + p.value * panel + 64 * q);
    });
  }
  unrolled<kPanels>([&](auto p) {
    unrolled<kPhases - 1>(
        [&](auto f) { acc[p.value][0] = add(acc[p.value][0], acc[p.value][f.value + 1]); });
    const std::int32_t* sums = row_sums + 16 * p.value;
    store(y + 16 * p.value, dot_finish(acc[p.value][0], sums, sums + 8));
  });
}

// Calls run<kPanels>(first panel) for all panels, kWide at a time, then those that are left.
template <int kWide, typename Run>
inline void for_panels(std::int32_t panels, std::int32_t first, const Run& run) {
  for (; first + kWide <= panels; first += kWide) run.template call<kWide>(first);
  if constexpr (kWide > 1) for_panels<kWide - 1>(panels, first, run);
}

template <typename T>
struct DenseRun {
  const Dense<T>& w;
  const float* x;
  const float* init;
  float* y;
  template <int kPanels>
  void call(std::int32_t p) const {
    dense_panels<kPanels>(w.weights + std::int64_t{16} * w.cols * p, w.cols, x,
                          init == nullptr ? nullptr : init + 16 * p, y + 16 * p);
  }
};

struct DenseRunI8 {
  const Dense<std::int8_t>& w;
  const std::uint8_t* u;
  std::int32_t* y;
  template <int kPanels>
  void call(std::int32_t p) const {
    dense_panels_i8<kPanels>(w.weights + std::int64_t{16} * w.cols * p, w.cols / 4,
                             w.row_sums + 16 * p, u, y + 16 * p);
  }
};

inline void dense_f32(const Dense<float>& w, const float* x, const float* init, float* y) PYVOC_RT {
  for_panels<kPanelGroup>(w.panels, 0, DenseRun<float>{w, x, init, y});
}

inline void dense_bf16(const Dense<Bf16>& w, const float* x, const float* init, float* y) PYVOC_RT {
  for_panels<kPanelGroup>(w.panels, 0, DenseRun<Bf16>{w, x, init, y});
}

inline void dense_i8(const Dense<std::int8_t>& w, const std::uint8_t* u, std::int32_t* y) PYVOC_RT {
  for_panels<kPanelGroup>(w.panels, 0, DenseRunI8{w, u, y});
}

}  // namespace
}  // namespace pyvoc::kernels
