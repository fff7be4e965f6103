// The vector vocabulary on AVX2 + FMA (and AVX-VNNI where the tier has it): 16 lanes are two
// registers. See simd/scalar.h for what each function means.
#ifndef PYVOC_KERNELS_SIMD_AVX2_H_
#define PYVOC_KERNELS_SIMD_AVX2_H_

#include <immintrin.h>

#include <cstdint>

namespace pyvoc::kernels {
namespace {

constexpr int kBestLanes = 8;
constexpr int kAccumulators = 6;
constexpr int kTileRows = 6, kTilePanels = 1;

struct F32x16 {
  __m256 a, b;
};
struct I32x16 {
  __m256i a, b;
};

inline F32x16 zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
inline F32x16 set1(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
inline F32x16 load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
inline F32x16 load_halves(const float* low, const float* high) {
  return {_mm256_loadu_ps(low), _mm256_loadu_ps(high)};
}
inline F32x16 set_halves(float low, float high) {
  return {_mm256_set1_ps(low), _mm256_set1_ps(high)};
}
inline __m256 load_bf16x8(const std::uint16_t* p) {
  const __m128i raw = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(raw), 16));
}
inline F32x16 load(const std::uint16_t* p) { return {load_bf16x8(p), load_bf16x8(p + 8)}; }
inline __m256i load_i32x8(const void* p) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}
inline F32x16 load_float(const std::int32_t* p) {
  return {_mm256_cvtepi32_ps(load_i32x8(p)), _mm256_cvtepi32_ps(load_i32x8(p + 8))};
}
inline void load_pairs(const std::uint16_t* p, F32x16& first, F32x16& second) {
  const __m256i mask = _mm256_set1_epi32(static_cast<int>(0xffff0000u));
  const __m256i a = load_i32x8(p), b = load_i32x8(p + 16);
  first = {_mm256_castsi256_ps(_mm256_slli_epi32(a, 16)),
           _mm256_castsi256_ps(_mm256_slli_epi32(b, 16))};
  second = {_mm256_castsi256_ps(_mm256_and_si256(a, mask)),
            _mm256_castsi256_ps(_mm256_and_si256(b, mask))};
}
inline F32x16 sum_i16(const std::int16_t* a, const std::int16_t* b, const std::int16_t* c) {
  const __m256i sum =
      _mm256_add_epi16(_mm256_add_epi16(load_i32x8(a), load_i32x8(b)), load_i32x8(c));
  return {_mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm256_castsi256_si128(sum))),
          _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm256_extracti128_si256(sum, 1)))};
}
inline void store_halves(float* low, float* high, F32x16 x) {
  _mm256_storeu_ps(low, x.a);
  _mm256_storeu_ps(high, x.b);
}
inline void store(float* p, F32x16 x) { store_halves(p, p + 8, x); }

inline F32x16 add(F32x16 x, F32x16 y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
inline F32x16 sub(F32x16 x, F32x16 y) { return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
inline F32x16 mul(F32x16 x, F32x16 y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
inline F32x16 fma(F32x16 x, F32x16 y, F32x16 z) {
  return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
}
inline F32x16 max(F32x16 x, F32x16 y) { return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
inline F32x16 clamp(F32x16 x, F32x16 limit) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_min_ps(_mm256_max_ps(x.a, _mm256_xor_ps(limit.a, sign)), limit.a),
          _mm256_min_ps(_mm256_max_ps(x.b, _mm256_xor_ps(limit.b, sign)), limit.b)};
}
inline std::uint32_t greater_bits(F32x16 x, F32x16 y) {
  const int low = _mm256_movemask_ps(_mm256_cmp_ps(x.a, y.a, _CMP_GT_OQ));
  const int high = _mm256_movemask_ps(_mm256_cmp_ps(x.b, y.b, _CMP_GT_OQ));
  return static_cast<std::uint32_t>(low | high << 8);
}
inline __m256 pow2x8(__m256 n) {
  const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
  return _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23));
}
inline F32x16 pow2(F32x16 n) { return {pow2x8(n.a), pow2x8(n.b)}; }
inline __m256 newton(__m256 x) {
  const __m256 r = _mm256_rcp_ps(x);
  return _mm256_mul_ps(r, _mm256_fnmadd_ps(x, r, _mm256_set1_ps(2.0f)));
}
// v[i][j] becomes v[j][i].
inline void transpose8(__m256 (&v)[8]) {
  __m256 a[8], b[8];
  for (int i = 0; i < 8; i += 2) {
    a[i] = _mm256_unpacklo_ps(v[i], v[i + 1]);
    a[i + 1] = _mm256_unpackhi_ps(v[i], v[i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {
    for (int k = 0; k < 2; ++k) {
      b[i + 2 * k] = _mm256_shuffle_ps(a[i + k], a[i + k + 2], 0x44);
      b[i + 2 * k + 1] = _mm256_shuffle_ps(a[i + k], a[i + k + 2], 0xee);
    }
  }
  for (int i = 0; i < 4; ++i) {
    v[i] = _mm256_permute2f128_ps(b[i], b[4 + i], 0x20);
    v[4 + i] = _mm256_permute2f128_ps(b[i], b[4 + i], 0x31);
  }
}
// The four quarters, two of which change places.
inline void transpose(F32x16 (&v)[16]) {
  __m256 low[8], high[8], below[8], corner[8];
  for (int i = 0; i < 8; ++i) low[i] = v[i].a, below[i] = v[8 + i].a;
  transpose8(low), transpose8(below);
  for (int i = 0; i < 8; ++i) high[i] = v[i].b, corner[i] = v[8 + i].b;
  transpose8(high), transpose8(corner);
  for (int i = 0; i < 8; ++i) v[i] = {low[i], below[i]}, v[8 + i] = {high[i], corner[i]};
}
inline void transpose_halves(F32x16 (&v)[8]) {
  __m256 low[8], high[8];
  for (int i = 0; i < 8; ++i) low[i] = v[i].a, high[i] = v[i].b;
  transpose8(low), transpose8(high);
  for (int i = 0; i < 8; ++i) v[i] = {low[i], high[i]};
}
// rcpps alone has 12 bits and differs between makers: always refined.
inline F32x16 reciprocal_fast(F32x16 x) { return {newton(x.a), newton(x.b)}; }
inline F32x16 reciprocal(F32x16 x) {
  return {_mm256_div_ps(_mm256_set1_ps(1.0f), x.a), _mm256_div_ps(_mm256_set1_ps(1.0f), x.b)};
}
inline void store_u8(std::uint8_t* p, F32x16 x) {
  const __m256i words = _mm256_permute4x64_epi64(
      _mm256_packs_epi32(_mm256_cvtps_epi32(x.a), _mm256_cvtps_epi32(x.b)), 0xd8);
  _mm_storeu_si128(
      reinterpret_cast<__m128i*>(p),
      _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
}

struct Partials {
  __m256 v[8];  // rows 2k and 2k + 1; a row is four neighbouring lanes
};
inline Partials zero_partials() {
  const __m256 z = _mm256_setzero_ps();
  return {{z, z, z, z, z, z, z, z}};
}
inline __m256 twice(const float* p) {
  return _mm256_broadcast_ps(reinterpret_cast<const __m128*>(p));
}
inline __m256 fma8(const float* w, __m256 x, __m256 acc) {
  return _mm256_fmadd_ps(_mm256_loadu_ps(w), x, acc);
}
inline Partials fma_blocks(Partials acc, const float* low, const float* high, const float* w) {
  const __m256 a = twice(low), b = twice(high);
  return {{fma8(w, a, acc.v[0]), fma8(w + 8, a, acc.v[1]), fma8(w + 16, a, acc.v[2]),
           fma8(w + 24, a, acc.v[3]), fma8(w + 32, b, acc.v[4]), fma8(w + 40, b, acc.v[5]),
           fma8(w + 48, b, acc.v[6]), fma8(w + 56, b, acc.v[7])}};
}
inline Partials fma_blocks(Partials acc, const float* low, const float* high,
                           const std::uint16_t* w) {
  const __m256 a = twice(low), b = twice(high);
  F32x16 first, third, second, fourth;
  load_pairs(w, first, third);
  load_pairs(w + 32, second, fourth);
  return {{_mm256_fmadd_ps(first.a, a, acc.v[0]), _mm256_fmadd_ps(first.b, a, acc.v[1]),
           _mm256_fmadd_ps(second.a, a, acc.v[2]), _mm256_fmadd_ps(second.b, a, acc.v[3]),
           _mm256_fmadd_ps(third.a, b, acc.v[4]), _mm256_fmadd_ps(third.b, b, acc.v[5]),
           _mm256_fmadd_ps(fourth.a, b, acc.v[6]), _mm256_fmadd_ps(fourth.b, b, acc.v[7])}};
}
inline __m256 sum_columns8(__m256 a, __m256 b, __m256 c, __m256 d) {
  const __m256 sums = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
  return _mm256_permutevar8x32_ps(sums, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}
inline F32x16 sum_columns(const Partials& p) {
  return {sum_columns8(p.v[0], p.v[1], p.v[2], p.v[3]),
          sum_columns8(p.v[4], p.v[5], p.v[6], p.v[7])};
}

inline I32x16 izero() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
inline I32x16 add(I32x16 x, I32x16 y) {
  return {_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)};
}
inline void store_halves(std::int32_t* low, std::int32_t* high, I32x16 x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(low), x.a);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(high), x.b);
}
inline void store(std::int32_t* p, I32x16 x) { store_halves(p, p + 8, x); }
inline F32x16 to_float(I32x16 x) { return {_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)}; }

inline __m256i dot8(__m256i acc, __m256i u, const std::int8_t* w) {
#if defined(__AVXVNNI__)
  return _mm256_dpbusd_avx_epi32(acc, u, load_i32x8(w));
#else
  const __m256i pairs = _mm256_maddubs_epi16(u, load_i32x8(w));
  return _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
#endif
}
inline __m256i broadcast_quad(const std::uint8_t* u) {
  int quad;
  __builtin_memcpy(&quad, u, 4);
  return _mm256_set1_epi32(quad);
}
inline I32x16 dot_rows(I32x16 acc, const std::uint8_t* u, const std::int8_t* w) {
  const __m256i quad = broadcast_quad(u);
  return {dot8(acc.a, quad, w), dot8(acc.b, quad, w + 32)};
}
inline I32x16 dot_halves(I32x16 acc, const std::uint8_t* low, const std::uint8_t* high,
                         const std::int8_t* w) {
  return {dot8(acc.a, broadcast_quad(low), w), dot8(acc.b, broadcast_quad(high), w + 32)};
}
struct I8x64 {
  const std::int8_t* p;  // 16 registers are too few to hold weights
};
inline I8x64 load_weights(const std::int8_t* w) { return {w}; }
inline I32x16 dot_halves(I32x16 acc, const std::uint8_t* low, const std::uint8_t* high, I8x64 w) {
  return dot_halves(acc, low, high, w.p);
}
inline I32x16 dot_rows(I32x16 acc, const std::uint8_t* u, I8x64 w) { return dot_rows(acc, u, w.p); }
#if defined(__AVXVNNI__)
struct Quad {
  __m256i v;
};
inline Quad load_quad_lanes(const std::uint8_t* u) { return {broadcast_quad(u)}; }
inline I32x16 dot_any(I32x16 acc, Quad u, I8x64 w) {
  return {dot8(acc.a, u.v, w.p), dot8(acc.b, u.v, w.p + 32)};
}
#else
// Sums of two products in 16 bits: four inputs times 8 rows of a cell (views.h, Cells).
#define PYVOC_SIMD_CELLS 1
struct I16x16 {
  __m256i v;
};
struct I32x8 {
  __m256i v;
};
inline I32x8 izero8() { return {_mm256_setzero_si256()}; }
inline I16x16 dot_pairs(const std::uint8_t* u, const std::int8_t* w) {
  return {_mm256_maddubs_epi16(broadcast_quad(u), load_i32x8(w))};
}
inline I16x16 add(I16x16 x, I16x16 y) { return {_mm256_add_epi16(x.v, y.v)}; }
inline I32x8 add_pairs(I32x8 acc, I16x16 x) {
  return {_mm256_add_epi32(acc.v, _mm256_madd_epi16(x.v, _mm256_set1_epi16(1)))};
}
inline void set_half(I32x16& x, int half, I32x8 sums) { (half == 0 ? x.a : x.b) = sums.v; }
#endif
inline I32x16 dot_finish(I32x16 acc, const std::int32_t* /*low_row_sums*/,
                         const std::int32_t* /*high_row_sums*/) {
  return acc;
}

}  // namespace
}  // namespace pyvoc::kernels
#endif  // PYVOC_KERNELS_SIMD_AVX2_H_
