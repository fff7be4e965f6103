// Signal analysis over 16 positions at a time. Every sum is taken in the order of its index with
// separate multiplication and addition, so all tiers give the same bits: features do not depend on
// the machine that extracted them.

namespace pyvoc::kernels {
namespace {

constexpr int correlation_blocks() { return kAccumulators >= 8 ? 8 : (kAccumulators >= 4 ? 4 : 2); }

template <int kBlocks>
inline void correlate_blocks(const float* x, const float* y, std::int32_t n, float* out) {
  F32x16 acc[kBlocks];
  for (int b = 0; b < kBlocks; ++b) acc[b] = zero();
  for (std::int32_t j = 0; j < n; ++j) {
    const F32x16 value = set1(x[j]);
    for (int b = 0; b < kBlocks; ++b) acc[b] = add(acc[b], mul(value, load(y + j + 16 * b)));
  }
  for (int b = 0; b < kBlocks; ++b) store(out + 16 * b, acc[b]);
}

// As many blocks at a time as there are, then half as many: one alone waits for its own sums.
template <int kBlocks>
inline void correlate_lags(const float* x, const float* y, std::int32_t n, std::int32_t lags,
                           float* out) {
  std::int32_t l = 0;
  for (; l + 16 * kBlocks <= lags; l += 16 * kBlocks)
    correlate_blocks<kBlocks>(x, y + l, n, out + l);
  if constexpr (kBlocks > 1) correlate_lags<kBlocks / 2>(x, y + l, n, lags - l, out + l);
}

inline void correlate_f32(const float* x, const float* y, std::int32_t n, std::int32_t lags,
                          float* out) PYVOC_RT {
  correlate_lags<correlation_blocks()>(x, y, n, lags, out);
}

inline void fir_f32(const float* x, const float* taps, std::int32_t n_taps, std::int32_t n,
                    float* y) PYVOC_RT {
  for (std::int32_t i = 0; i < n; i += 16) {
    F32x16 acc = load(x + i);
    for (std::int32_t k = 0; k < n_taps; ++k) {
      acc = add(acc, mul(set1(taps[k]), load(x + i - 1 - k)));
    }
    store(y + i, acc);
  }
}

inline void window_energy_f32(const float* x, std::int32_t n, std::int32_t count,
                              float* out) PYVOC_RT {
  for (std::int32_t i = 0; i < count; i += 16) {
    F32x16 acc = zero();
    for (std::int32_t j = 0; j < n; ++j) {
      const F32x16 value = load(x + i + j);
      acc = add(acc, mul(value, value));
    }
    store(out + i, acc);
  }
}

inline void sharpen_f32(const float* x, const float* taps, std::int32_t n, float* y) PYVOC_RT {
  for (std::int32_t i = 0; i < n; i += 16) {
    F32x16 after = zero(), before = zero();
    for (std::int32_t j = 0; j < 7; ++j) {
      const F32x16 tap = set1(taps[j]);
      after = add(after, mul(load(x + i - 3 + j), tap));
      before = add(before, mul(load(x + i + 3 - j), tap));
    }
    store(y + i, max(load(x + i), max(after, before)));
  }
}

inline void path_step_f32(const float* score, float jump, const float* cost, std::int32_t reach,
                          const float* gain, float weight, std::int32_t n, float* next) PYVOC_RT {
  for (std::int32_t i = 0; i < n; i += 16) {
    F32x16 best = max(set1(jump), load(score + i));
    for (std::int32_t j = 1; j <= reach; ++j) {
      const F32x16 step = set1(cost[j]);
      best = max(best, sub(max(load(score + i - j), load(score + i + j)), step));
    }
    store(next + i, add(best, mul(set1(weight), load(gain + i))));
  }
}

inline void lower_f32(float* x, std::int32_t n, float* top) PYVOC_RT {
  F32x16 lanes = load(x);
  for (std::int32_t i = 16; i < n; i += 16) lanes = max(lanes, load(x + i));
  float lane[16];
  store(lane, lanes);
  float largest = lane[0];
  for (int k = 1; k < 16; ++k) largest = lane[k] > largest ? lane[k] : largest;
  const F32x16 drop = set1(largest);
  for (std::int32_t i = 0; i < n; i += 16) store(x + i, sub(load(x + i), drop));
  *top = largest;
}

}  // namespace
}  // namespace pyvoc::kernels
