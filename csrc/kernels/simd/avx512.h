// The vector vocabulary on AVX-512 (F, BW, DQ, VL; VNNI and BF16 where the tier has them). See
// simd/scalar.h for what each function means.
#ifndef PYVOC_KERNELS_SIMD_AVX512_H_
#define PYVOC_KERNELS_SIMD_AVX512_H_

#include <immintrin.h>

#include <cstdint>

#include "kernels/simd/segments.h"

#define PYVOC_SIMD_SEGMENTS 1  // fast_tanh and fast_sigmoid are here
#if defined(__AVX512BF16__)
#define PYVOC_SIMD_BF16_PRODUCTS 1
#endif

namespace pyvoc::kernels {
namespace {

constexpr int kBestLanes = 16;
constexpr int kAccumulators = 12;
constexpr int kTileRows = 12, kTilePanels = 2;

struct F32x16 {
  __m512 v;
};
struct I32x16 {
  __m512i v;
};

inline F32x16 zero() { return {_mm512_setzero_ps()}; }
inline F32x16 set1(float x) { return {_mm512_set1_ps(x)}; }
inline F32x16 load(const float* p) { return {_mm512_loadu_ps(p)}; }
inline F32x16 load(const std::uint16_t* p) {
  const __m512i wide =
      _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
}
inline F32x16 load_halves(const float* low, const float* high) {
  return {
      _mm512_insertf32x8(_mm512_castps256_ps512(_mm256_loadu_ps(low)), _mm256_loadu_ps(high), 1)};
}
inline F32x16 set_halves(float low, float high) {
  return {_mm512_mask_broadcastss_ps(_mm512_set1_ps(low), 0xff00, _mm_set_ss(high))};
}
inline F32x16 load_float(const std::int32_t* p) {
  return {_mm512_cvtepi32_ps(_mm512_loadu_si512(p))};
}
inline void load_pairs(const std::uint16_t* p, F32x16& first, F32x16& second) {
  const __m512i both = _mm512_loadu_si512(p);
  first = {_mm512_castsi512_ps(_mm512_slli_epi32(both, 16))};
  second = {_mm512_castsi512_ps(
      _mm512_and_si512(both, _mm512_set1_epi32(static_cast<int>(0xffff0000u))))};
}
inline __m256i load_i16(const std::int16_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
inline F32x16 sum_i16(const std::int16_t* a, const std::int16_t* b, const std::int16_t* c) {
  const __m256i sum = _mm256_add_epi16(_mm256_add_epi16(load_i16(a), load_i16(b)), load_i16(c));
  return {_mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(sum))};
}
inline void store(float* p, F32x16 a) { _mm512_storeu_ps(p, a.v); }
inline void store_halves(float* low, float* high, F32x16 a) {
  _mm256_storeu_ps(low, _mm512_castps512_ps256(a.v));
  _mm256_storeu_ps(high, _mm512_extractf32x8_ps(a.v, 1));
}

inline F32x16 add(F32x16 a, F32x16 b) { return {_mm512_add_ps(a.v, b.v)}; }
inline F32x16 sub(F32x16 a, F32x16 b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline F32x16 mul(F32x16 a, F32x16 b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline F32x16 fma(F32x16 a, F32x16 b, F32x16 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline F32x16 max(F32x16 a, F32x16 b) { return {_mm512_max_ps(a.v, b.v)}; }
// vrangeps: the smaller magnitude with the sign of x; of a NaN and a number, the number.
inline F32x16 clamp(F32x16 x, F32x16 limit) { return {_mm512_range_ps(x.v, limit.v, 0b0010)}; }
inline std::uint32_t greater_bits(F32x16 a, F32x16 b) {
  return _mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ);
}
inline void transpose(F32x16 (&v)[16]) {
  __m512 a[16], b[16];
  for (int i = 0; i < 16; i += 2) {
    a[i] = _mm512_unpacklo_ps(v[i].v, v[i + 1].v);
    a[i + 1] = _mm512_unpackhi_ps(v[i].v, v[i + 1].v);
  }
  for (int i = 0; i < 16; i += 4) {
    const auto pair = [&](int k) { return _mm512_castps_pd(a[i + k]); };
    b[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(pair(0), pair(2)));
    b[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(pair(0), pair(2)));
    b[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(pair(1), pair(3)));
    b[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(pair(1), pair(3)));
  }
  for (int i = 0; i < 4; ++i) {
    const __m512 low = _mm512_shuffle_f32x4(b[i], b[4 + i], 0x88);
    const __m512 high = _mm512_shuffle_f32x4(b[i], b[4 + i], 0xdd);
    const __m512 low2 = _mm512_shuffle_f32x4(b[8 + i], b[12 + i], 0x88);
    const __m512 high2 = _mm512_shuffle_f32x4(b[8 + i], b[12 + i], 0xdd);
    v[i].v = _mm512_shuffle_f32x4(low, low2, 0x88);
    v[8 + i].v = _mm512_shuffle_f32x4(low, low2, 0xdd);
    v[4 + i].v = _mm512_shuffle_f32x4(high, high2, 0x88);
    v[12 + i].v = _mm512_shuffle_f32x4(high, high2, 0xdd);
  }
}
inline void transpose_halves(F32x16 (&v)[8]) {
  __m512 a[8];
  __m512d b[8];
  for (int i = 0; i < 8; i += 2) {
    a[i] = _mm512_unpacklo_ps(v[i].v, v[i + 1].v);
    a[i + 1] = _mm512_unpackhi_ps(v[i].v, v[i + 1].v);
  }
  for (int i = 0; i < 8; i += 4) {
    const auto pair = [&](int k) { return _mm512_castps_pd(a[i + k]); };
    b[i] = _mm512_unpacklo_pd(pair(0), pair(2));
    b[i + 1] = _mm512_unpackhi_pd(pair(0), pair(2));
    b[i + 2] = _mm512_unpacklo_pd(pair(1), pair(3));
    b[i + 3] = _mm512_unpackhi_pd(pair(1), pair(3));
  }
  const __m512i first = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13);
  const __m512i second = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
  for (int i = 0; i < 4; ++i) {
    v[i].v = _mm512_castpd_ps(_mm512_permutex2var_pd(b[i], first, b[4 + i]));
    v[4 + i].v = _mm512_castpd_ps(_mm512_permutex2var_pd(b[i], second, b[4 + i]));
  }
}
inline F32x16 pow2(F32x16 n) { return {_mm512_scalef_ps(_mm512_set1_ps(1.0f), n.v)}; }
inline F32x16 reciprocal_fast(F32x16 a) { return {_mm512_rcp14_ps(a.v)}; }
inline F32x16 reciprocal(F32x16 a) {
  const __m512 r = _mm512_rcp14_ps(a.v);
  return {_mm512_mul_ps(r, _mm512_fnmadd_ps(a.v, r, _mm512_set1_ps(2.0f)))};
}
inline void store_u8(std::uint8_t* p, F32x16 a) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(a.v)));
}

// A parabola per segment, looked up in registers: no division. c0, c1, c2 [32].
inline F32x16 parabola(F32x16 x, float limit, const float* c0, const float* c1, const float* c2) {
  constexpr float kRound =
      12582912.0f;  // 1.5 * 2^23: adding it rounds, the integer is in the low bits
  x = clamp(x, set1(limit));
  const __m512i segment = _mm512_castps_si512(
      _mm512_fmadd_ps(x.v, _mm512_set1_ps(15.5f / limit), _mm512_set1_ps(kRound + 16.0f)));
  const auto coefficient = [&](const float* c) {
    return _mm512_permutex2var_ps(_mm512_loadu_ps(c), segment, _mm512_loadu_ps(c + 16));
  };
  return {_mm512_fmadd_ps(_mm512_fmadd_ps(coefficient(c2), x.v, coefficient(c1)), x.v,
                          coefficient(c0))};
}
inline F32x16 fast_tanh(F32x16 x) {
  return parabola(x, kTanhSegmentLimit, kTanhC0, kTanhC1, kTanhC2);
}
inline F32x16 fast_sigmoid(F32x16 x) {
  return parabola(x, kSigmoidSegmentLimit, kSigmoidC0, kSigmoidC1, kSigmoidC2);
}

#if defined(PYVOC_SIMD_BF16_PRODUCTS)
struct Bf16x32 {
  __m512i v;
};
inline Bf16x32 load_bf16(const std::uint16_t* p) { return {_mm512_loadu_si512(p)}; }
inline Bf16x32 set1_pair(const std::uint16_t* p) {
  int pair;
  __builtin_memcpy(&pair, p, 4);
  return {_mm512_set1_epi32(pair)};
}
inline void store_bf16(std::uint16_t* p, F32x16 a) {
  const __m256bh near = _mm512_cvtneps_pbh(a.v);
  __builtin_memcpy(p, &near, 32);
}
inline F32x16 dot_bf16(F32x16 acc, Bf16x32 w, Bf16x32 x) {
  asm("vdpbf16ps %2, %1, %0" : "+v"(acc.v) : "v"(w.v), "v"(x.v));
  return acc;
}
#endif

struct Partials {
  __m512 v0, v1, v2, v3;  // rows 0..3, 4..7, 8..11, 12..15; a row is four neighbouring lanes
};
inline Partials zero_partials() {
  const __m512 z = _mm512_setzero_ps();
  return {z, z, z, z};
}
inline __m512 four_times(const float* p) { return _mm512_broadcast_f32x4(_mm_loadu_ps(p)); }
inline Partials fma_blocks(Partials acc, const float* low, const float* high, const float* w) {
  const __m512 a = four_times(low), b = four_times(high);
  return {_mm512_fmadd_ps(_mm512_loadu_ps(w), a, acc.v0),
          _mm512_fmadd_ps(_mm512_loadu_ps(w + 16), a, acc.v1),
          _mm512_fmadd_ps(_mm512_loadu_ps(w + 32), b, acc.v2),
          _mm512_fmadd_ps(_mm512_loadu_ps(w + 48), b, acc.v3)};
}
inline Partials fma_blocks(Partials acc, const float* low, const float* high,
                           const std::uint16_t* w) {
  const __m512 a = four_times(low), b = four_times(high);
  F32x16 w0, w1, w2, w3;
  load_pairs(w, w0, w2);
  load_pairs(w + 32, w1, w3);
  return {_mm512_fmadd_ps(w0.v, a, acc.v0), _mm512_fmadd_ps(w1.v, a, acc.v1),
          _mm512_fmadd_ps(w2.v, b, acc.v2), _mm512_fmadd_ps(w3.v, b, acc.v3)};
}
inline F32x16 sum_columns(const Partials& p) {
  const __m512 a = _mm512_add_ps(_mm512_unpacklo_ps(p.v0, p.v1), _mm512_unpackhi_ps(p.v0, p.v1));
  const __m512 b = _mm512_add_ps(_mm512_unpacklo_ps(p.v2, p.v3), _mm512_unpackhi_ps(p.v2, p.v3));
  const __m512d x = _mm512_castps_pd(a), y = _mm512_castps_pd(b);
  const __m512 sums = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(x, y)),
                                    _mm512_castpd_ps(_mm512_unpackhi_pd(x, y)));
  const __m512i order = _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
  return {_mm512_permutexvar_ps(order, sums)};
}

inline I32x16 izero() { return {_mm512_setzero_si512()}; }
inline I32x16 add(I32x16 a, I32x16 b) { return {_mm512_add_epi32(a.v, b.v)}; }
inline void store(std::int32_t* p, I32x16 a) { _mm512_storeu_si512(p, a.v); }
inline F32x16 to_float(I32x16 a) { return {_mm512_cvtepi32_ps(a.v)}; }
inline void store_halves(std::int32_t* low, std::int32_t* high, I32x16 a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(low), _mm512_castsi512_si256(a.v));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(high), _mm512_extracti64x4_epi64(a.v, 1));
}

struct I8x64 {
  __m512i v;
};
inline I8x64 load_weights(const std::int8_t* w) { return {_mm512_loadu_si512(w)}; }

#if defined(__AVX512VNNI__) && defined(__GNUC__)
// As instructions, because GCC 12 copies the accumulator around the intrinsic.
inline I32x16 dot(I32x16 acc, __m512i u, const std::int8_t* w) {
  asm("vpdpbusd %2, %1, %0" : "+v"(acc.v) : "v"(u), "m"(*reinterpret_cast<const __m512i_u*>(w)));
  return acc;
}
inline I32x16 dot(I32x16 acc, __m512i u, I8x64 w) {
  asm("vpdpbusd %2, %1, %0" : "+v"(acc.v) : "v"(u), "v"(w.v));
  return acc;
}
#else
inline I32x16 dot(I32x16 acc, __m512i u, I8x64 w) {
#if defined(__AVX512VNNI__)
  return {_mm512_dpbusd_epi32(acc.v, u, w.v)};
#else
  const __m512i pairs = _mm512_maddubs_epi16(u, w.v);
  return {_mm512_add_epi32(acc.v, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)))};
#endif
}
inline I32x16 dot(I32x16 acc, __m512i u, const std::int8_t* w) {
  return dot(acc, u, load_weights(w));
}
#endif
inline int load_quad(const std::uint8_t* u) {
  int quad;
  __builtin_memcpy(&quad, u, 4);
  return quad;
}
inline I32x16 dot_rows(I32x16 acc, const std::uint8_t* u, const std::int8_t* w) {
  return dot(acc, _mm512_set1_epi32(load_quad(u)), w);
}
inline I32x16 dot_rows(I32x16 acc, const std::uint8_t* u, I8x64 w) {
  return dot(acc, _mm512_set1_epi32(load_quad(u)), w);
}
#if defined(__AVX512VNNI__)
struct Quad {
  __m512i v;
};
inline Quad load_quad_lanes(const std::uint8_t* u) { return {_mm512_set1_epi32(load_quad(u))}; }
inline I32x16 dot_any(I32x16 acc, Quad u, I8x64 w) { return dot(acc, u.v, w); }
#else
// Sums of two products need 17 bits: even and odd inputs as 16-bit numbers.
struct Quad {
  __m512i even, odd;
};
inline Quad load_quad_lanes(const std::uint8_t* u) {
  const __m512i quad = _mm512_set1_epi32(load_quad(u));
  return {_mm512_and_si512(quad, _mm512_set1_epi16(0xff)), _mm512_srli_epi16(quad, 8)};
}
inline I32x16 dot_any(I32x16 acc, Quad u, I8x64 w) {
  const __m512i even = _mm512_madd_epi16(u.even, _mm512_srai_epi16(_mm512_slli_epi16(w.v, 8), 8));
  const __m512i odd = _mm512_madd_epi16(u.odd, _mm512_srai_epi16(w.v, 8));
  return {_mm512_add_epi32(acc.v, _mm512_add_epi32(even, odd))};
}
#endif
inline __m512i broadcast_quads(const std::uint8_t* low, const std::uint8_t* high) {
  return _mm512_mask_set1_epi32(_mm512_set1_epi32(load_quad(low)), 0xff00, load_quad(high));
}
inline I32x16 dot_halves(I32x16 acc, const std::uint8_t* low, const std::uint8_t* high,
                         const std::int8_t* w) {
  return dot(acc, broadcast_quads(low, high), w);
}
inline I32x16 dot_halves(I32x16 acc, const std::uint8_t* low, const std::uint8_t* high, I8x64 w) {
  return dot(acc, broadcast_quads(low, high), w);
}
inline I32x16 dot_finish(I32x16 acc, const std::int32_t* /*low_row_sums*/,
                         const std::int32_t* /*high_row_sums*/) {
  return acc;
}

}  // namespace
}  // namespace pyvoc::kernels
#endif  // PYVOC_KERNELS_SIMD_AVX512_H_
