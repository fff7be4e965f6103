// Between the layers of a sample loop and at its end: rectification, activations as bytes, and the
// draw of a label from a softmax.

namespace pyvoc::kernels {
namespace {

// e^x for x within +-87, others as those; a Taylor polynomial around the nearest power of 2.
inline F32x16 exponential(F32x16 x) {
  x = clamp(x, set1(87.0f));
  const F32x16 shift = set1(12582912.0f);  // 1.5 * 2^23: the sum is rounded to a whole number
  const F32x16 n = sub(fma(x, set1(1.44269504f), shift), shift);
  const F32x16 r = fma(n, set1(1.90465421e-9f), fma(n, set1(-0.693147182f), x));
  F32x16 p = set1(1.0f / 5040);
  constexpr float kRest[] = {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f};
  for (const float c : kRest) p = fma(p, r, set1(c));
  return mul(p, pow2(n));
}

inline float largest_lane(F32x16 x) {
  float lane[16];
  store(lane, x);
  float largest = lane[0];
  for (int k = 1; k < 16; ++k) largest = lane[k] > largest ? lane[k] : largest;
  return largest;
}

inline void rectify_f32(float* x, std::int32_t n, float* top) PYVOC_RT {
  F32x16 most = zero();
  for (std::int32_t i = 0; i < n; i += 16) {
    const F32x16 v = max(load(x + i), zero());
    store(x + i, v);
    most = max(most, v);
  }
  *top = largest_lane(most);
}

inline void bytes_f32(const float* x, float factor, float zero_at, std::int32_t n,
                      std::uint8_t* u) PYVOC_RT {
  const F32x16 middle = set1(127.0f), offset = set1(zero_at - 127.0f), by = set1(factor);
  for (std::int32_t i = 0; i < n; i += 16) {
    store_u8(u + i, add(clamp(fma(load(x + i), by, offset), middle), middle));
  }
}

inline void scaled_i32(const std::int32_t* sums, const float* scale, float factor,
                       const float* init, float* y, std::int32_t n) PYVOC_RT {
  const F32x16 by = set1(factor);
  for (std::int32_t i = 0; i < n; i += 16) {
    store(y + i, fma(load_float(sums + i), mul(load(scale + i), by), load(init + i)));
  }
}

// Sums of 16 neighbours, 16 of them: lanes are added in order, as draw_label_f32 does it.
inline void sum_groups(const float* e, float* sums) {
  F32x16 v[16];
  for (int i = 0; i < 16; ++i) v[i] = load(e + 16 * i);
  transpose(v);
  F32x16 sum = v[0];
  for (int i = 1; i < 16; ++i) sum = add(sum, v[i]);
  store(sums, sum);
}

inline void draw_label_f32(const float* logits, std::int32_t n, float u, float* scratch,
                           std::int32_t* label) PYVOC_RT {
  F32x16 most = load(logits);
  for (std::int32_t i = 16; i < n; i += 16) most = max(most, load(logits + i));
  const F32x16 top = set1(largest_lane(most));
  const std::int32_t whole = (n + 255) / 256 * 256;
  float* sums = scratch + whole;  // of 16 each
  for (std::int32_t i = 0; i < n; i += 16)
    store(scratch + i, exponential(sub(load(logits + i), top)));
  for (std::int32_t i = n; i < whole; i += 16) store(scratch + i, zero());
  for (std::int32_t i = 0; i < whole; i += 256) sum_groups(scratch + i, sums + i / 16);
  double total = 0.0;
  for (std::int32_t i = 0; i < n / 16; ++i) total += static_cast<double>(sums[i]);
  const double wanted = total * static_cast<double>(u);
  double below = 0.0;
  std::int32_t group = 0;
  while (group + 1 < n / 16 && below + static_cast<double>(sums[group]) <= wanted) {
    below += static_cast<double>(sums[group++]);
  }
  const float* e = scratch + 16 * group;
  float part = e[0];
  std::int32_t lane = 0;
  while (lane < 15 && below + static_cast<double>(part) <= wanted) part += e[++lane];
  *label = 16 * group + lane;
}

}  // namespace
}  // namespace pyvoc::kernels
