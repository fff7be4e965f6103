// tanh and sigmoid as odd rational functions, our own minimax fits (degree 7/8 and 5/6 on a clamped
// range). Two precisions: kPrecise (1.1e-6 absolute, rounding included; float layers) and kFast
// (beside int8 products and activations in steps of 1/127): 8e-6 plus the tier's fast reciprocal,
// at most 6e-5, or, where the tier looks parabolas up in registers (AVX-512), 2.6e-4 for tanh
// and 1.3e-4 for the logistic function.

namespace pyvoc::kernels {
namespace {

enum class Precision { kPrecise, kFast };

// x P(x^2) / Q(x^2) with x clamped to +-limit.
template <Precision kPrecision>
inline F32x16 odd_rational(F32x16 x, float limit, const float* p, const float* q) {
  constexpr bool kPrecise = kPrecision == Precision::kPrecise;
  x = clamp(x, set1(limit));
  const F32x16 u = mul(x, x);
  F32x16 top = kPrecise ? fma(u, set1(p[3]), set1(p[2])) : set1(p[2]);
  top = fma(top, u, set1(p[1]));
  top = fma(top, u, set1(p[0]));
  F32x16 bottom = kPrecise ? fma(u, set1(q[4]), set1(q[3])) : set1(q[3]);
  bottom = fma(bottom, u, set1(q[2]));
  bottom = fma(bottom, u, set1(q[1]));
  bottom = fma(bottom, u, set1(1.0f));
  return mul(mul(x, top), kPrecise ? reciprocal(bottom) : reciprocal_fast(bottom));
}

// [0] kPrecise, [1] kFast.
constexpr float kTanhLimit[2] = {7.4f, 6.2f};
constexpr float kTanhP[2][4] = {{0.9999997f, 0.12966973f, 0.0029963658f, 1.19438155e-05f},
                                {0.9999645f, 0.114067614f, 0.0014703948f}};
constexpr float kTanhQ[2][5] = {{1.0f, 0.4630018f, 0.023998393f, 0.00024522044f, 2.6295672e-07f},
                                {1.0f, 0.44729018f, 0.01733675f, 5.361962e-05f}};

template <Precision kPrecision>
inline F32x16 tanh(F32x16 x) {
#if defined(PYVOC_SIMD_SEGMENTS)
  if constexpr (kPrecision == Precision::kFast) return fast_tanh(x);
#endif
  constexpr int k = kPrecision == Precision::kPrecise ? 0 : 1;
  return odd_rational<kPrecision>(x, kTanhLimit[k], kTanhP[k], kTanhQ[k]);
}

// s(x) = 1/2 + tanh(x / 2) / 2, the halves taken into the coefficients (exact: powers of two).
template <Precision kPrecision>
inline F32x16 sigmoid(F32x16 x) {
#if defined(PYVOC_SIMD_SEGMENTS)
  if constexpr (kPrecision == Precision::kFast) return fast_sigmoid(x);
#endif
  constexpr int k = kPrecision == Precision::kPrecise ? 0 : 1;
  constexpr float p[4] = {kTanhP[k][0] / 4, kTanhP[k][1] / 16, kTanhP[k][2] / 64,
                          kTanhP[k][3] / 256};
  constexpr float q[5] = {1.0f, kTanhQ[k][1] / 4, kTanhQ[k][2] / 16, kTanhQ[k][3] / 64,
                          kTanhQ[k][4] / 256};
  return add(odd_rational<kPrecision>(x, 2 * kTanhLimit[k], p, q), set1(0.5f));
}

inline void tanh_f32(float* x, std::int32_t n) PYVOC_RT {
  for (std::int32_t i = 0; i < n; i += 16) store(x + i, tanh<Precision::kPrecise>(load(x + i)));
}

inline void gate_f32(float* x, const float* gates, std::int32_t n) PYVOC_RT {
  for (std::int32_t i = 0; i < n; i += 16) {
    store(x + i, mul(load(x + i), sigmoid<Precision::kPrecise>(load(gates + i))));
  }
}

// A layer's output and the bytes that the next one reads.
inline void store_both(float* y, std::uint8_t* u, F32x16 x) {
  store(y, x);
  store_u8(u, fma(x, set1(127.0f), set1(127.0f)));
}

inline void tanh_i32(const std::int32_t* sums, const float* scale, const float* bias,
                     std::int32_t n, float* y, std::uint8_t* u) PYVOC_RT {
  for (std::int32_t i = 0; i < n; i += 16) {
    const F32x16 x = fma(load_float(sums + i), load(scale + i), load(bias + i));
    store_both(y + i, u + i, tanh<Precision::kFast>(x));
  }
}

inline void gate_i32(const float* x, const std::int32_t* sums, const float* scale,
                     const float* bias, std::int32_t n, float* y, std::uint8_t* u) PYVOC_RT {
  for (std::int32_t i = 0; i < n; i += 16) {
    const F32x16 gate = fma(load_float(sums + i), load(scale + i), load(bias + i));
    store_both(y + i, u + i, mul(load(x + i), sigmoid<Precision::kFast>(gate)));
  }
}

inline void scale_i32(const std::int32_t* sums, const float* scale, const float* offset,
                      const float* init, float* y, std::int32_t n) PYVOC_RT {
  for (std::int32_t i = 0; i < n; i += 16) {
    const F32x16 constant = add(load(init + i), load(offset + i));
    store(y + i, fma(load_float(sums + i), load(scale + i), constant));
  }
}

}  // namespace
}  // namespace pyvoc::kernels
