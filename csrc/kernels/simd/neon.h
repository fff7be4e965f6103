// The vector vocabulary on AArch64 NEON (and the dot-product extension where the tier has it): 16
// lanes are four registers. NEON's products are signed by signed: activations are shifted by -127
// here and dot_finish adds 127 * (sum of the row's weights). See simd/scalar.h for what each
// function means.
#ifndef PYVOC_KERNELS_SIMD_NEON_H_
#define PYVOC_KERNELS_SIMD_NEON_H_

#include <arm_neon.h>

#include <cstdint>

namespace pyvoc::kernels {
namespace {

constexpr int kBestLanes = 8;
constexpr int kAccumulators = 6;
constexpr int kTileRows = 6, kTilePanels = 1;

struct F32x16 {
  float32x4_t v[4];
};
struct I32x16 {
  int32x4_t v[4];
};

template <typename Op>
inline F32x16 each(Op op) {
  return {{op(0), op(1), op(2), op(3)}};
}

inline F32x16 set1(float x) {
  return each([&](int) { return vdupq_n_f32(x); });
}
inline F32x16 zero() { return set1(0.0f); }
inline F32x16 load(const float* p) {
  return each([&](int i) { return vld1q_f32(p + 4 * i); });
}
inline F32x16 load(const std::uint16_t* p) {
  return each([&](int i) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p + 4 * i), 16)); });
}
inline F32x16 load_halves(const float* low, const float* high) {
  return {{vld1q_f32(low), vld1q_f32(low + 4), vld1q_f32(high), vld1q_f32(high + 4)}};
}
inline F32x16 set_halves(float low, float high) {
  return each([&](int i) { return vdupq_n_f32(i < 2 ? low : high); });
}
inline F32x16 load_float(const std::int32_t* p) {
  return each([&](int i) { return vcvtq_f32_s32(vld1q_s32(p + 4 * i)); });
}
inline void load_pairs(const std::uint16_t* p, F32x16& first, F32x16& second) {
  for (int i = 0; i < 4; ++i) {
    const uint32x4_t both = vreinterpretq_u32_u16(vld1q_u16(p + 8 * i));
    first.v[i] = vreinterpretq_f32_u32(vshlq_n_u32(both, 16));
    second.v[i] = vreinterpretq_f32_u32(vandq_u32(both, vdupq_n_u32(0xffff0000u)));
  }
}
inline F32x16 sum_i16(const std::int16_t* a, const std::int16_t* b, const std::int16_t* c) {
  return each([&](int i) {
    const int16x4_t sum =
        vadd_s16(vadd_s16(vld1_s16(a + 4 * i), vld1_s16(b + 4 * i)), vld1_s16(c + 4 * i));
    return vcvtq_f32_s32(vmovl_s16(sum));
  });
}
inline void store_halves(float* low, float* high, F32x16 a) {
  vst1q_f32(low, a.v[0]);
  vst1q_f32(low + 4, a.v[1]);
  vst1q_f32(high, a.v[2]);
  vst1q_f32(high + 4, a.v[3]);
}
inline void store(float* p, F32x16 a) { store_halves(p, p + 8, a); }

inline F32x16 add(F32x16 a, F32x16 b) {
  return each([&](int i) { return vaddq_f32(a.v[i], b.v[i]); });
}
inline F32x16 sub(F32x16 a, F32x16 b) {
  return each([&](int i) { return vsubq_f32(a.v[i], b.v[i]); });
}
inline F32x16 mul(F32x16 a, F32x16 b) {
  return each([&](int i) { return vmulq_f32(a.v[i], b.v[i]); });
}
inline F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {
  return each([&](int i) { return vfmaq_f32(c.v[i], a.v[i], b.v[i]); });
}
inline F32x16 max(F32x16 a, F32x16 b) {
  return each([&](int i) { return vmaxq_f32(a.v[i], b.v[i]); });
}
inline F32x16 clamp(F32x16 a, F32x16 limit) {
  return each(
      [&](int i) { return vminnmq_f32(vmaxnmq_f32(a.v[i], vnegq_f32(limit.v[i])), limit.v[i]); });
}
inline std::uint32_t greater_bits(F32x16 a, F32x16 b) {
  const std::uint32_t weights[4] = {1, 2, 4, 8};
  const uint32x4_t weight = vld1q_u32(weights);
  std::uint32_t bits = 0;
  for (int i = 0; i < 4; ++i) {
    bits |= vaddvq_u32(vandq_u32(vcgtq_f32(a.v[i], b.v[i]), weight)) << (4 * i);
  }
  return bits;
}
inline F32x16 pow2(F32x16 n) {
  return each([&](int i) {
    const int32x4_t exponent = vaddq_s32(vcvtq_s32_f32(n.v[i]), vdupq_n_s32(127));
    return vreinterpretq_f32_s32(vshlq_n_s32(exponent, 23));
  });
}
inline F32x16 reciprocal(F32x16 a) {
  return each([&](int i) { return vdivq_f32(vdupq_n_f32(1.0f), a.v[i]); });
}
// v[i][j] becomes v[j][i].
inline void transpose4(float32x4_t (&v)[4]) {
  const float32x4x2_t a = vtrnq_f32(v[0], v[1]), b = vtrnq_f32(v[2], v[3]);
  v[0] = vcombine_f32(vget_low_f32(a.val[0]), vget_low_f32(b.val[0]));
  v[1] = vcombine_f32(vget_low_f32(a.val[1]), vget_low_f32(b.val[1]));
  v[2] = vcombine_f32(vget_high_f32(a.val[0]), vget_high_f32(b.val[0]));
  v[3] = vcombine_f32(vget_high_f32(a.val[1]), vget_high_f32(b.val[1]));
}
// The same of as many vectors as kSquares quads of theirs, from quad `col` on, have lanes.
template <int kSquares, typename Vectors>
inline void transpose_squares(Vectors& v, int col) {
  const Vectors& from = v;
  F32x16 to[4 * kSquares];
  for (int i = 0; i < kSquares; ++i) {
    for (int j = 0; j < kSquares; ++j) {
      float32x4_t square[4];
      for (int k = 0; k < 4; ++k) square[k] = from[4 * i + k].v[col + j];
      transpose4(square);
      for (int k = 0; k < 4; ++k) to[4 * j + k].v[i] = square[k];
    }
  }
  for (int i = 0; i < 4 * kSquares; ++i) {
    for (int j = 0; j < kSquares; ++j) v[i].v[col + j] = to[i].v[j];
  }
}
inline void transpose(F32x16 (&v)[16]) { transpose_squares<4>(v, 0); }
inline void transpose_halves(F32x16 (&v)[8]) {
  transpose_squares<2>(v, 0);
  transpose_squares<2>(v, 2);
}
inline F32x16 reciprocal_fast(F32x16 a) {
  return each([&](int i) {
    float32x4_t r = vrecpeq_f32(a.v[i]);
    r = vmulq_f32(r, vrecpsq_f32(a.v[i], r));
    return vmulq_f32(r, vrecpsq_f32(a.v[i], r));
  });
}
inline void store_u8(std::uint8_t* p, F32x16 a) {
  for (int half = 0; half < 2; ++half) {
    const uint16x4_t x = vmovn_u32(vcvtnq_u32_f32(a.v[2 * half]));
    const uint16x4_t y = vmovn_u32(vcvtnq_u32_f32(a.v[2 * half + 1]));
    vst1_u8(p + 8 * half, vmovn_u16(vcombine_u16(x, y)));
  }
}

struct Partials {
  float32x4_t v[16];  // a row each
};
inline Partials zero_partials() {
  Partials p;
  for (int i = 0; i < 16; ++i) p.v[i] = vdupq_n_f32(0.0f);
  return p;
}
inline Partials fma_blocks(Partials acc, const float* low, const float* high, const float* w) {
  const float32x4_t a = vld1q_f32(low), b = vld1q_f32(high);
  for (int i = 0; i < 16; ++i) {
    acc.v[i] = vfmaq_f32(acc.v[i], vld1q_f32(w + 4 * i), i < 8 ? a : b);
  }
  return acc;
}
inline Partials fma_blocks(Partials acc, const float* low, const float* high,
                           const std::uint16_t* w) {
  const float32x4_t a = vld1q_f32(low), b = vld1q_f32(high);
  for (int i = 0; i < 8; i += 4) {
    F32x16 first, second;
    load_pairs(w + 8 * i, first, second);
    for (int k = 0; k < 4; ++k) {
      acc.v[i + k] = vfmaq_f32(acc.v[i + k], first.v[k], a);
      acc.v[8 + i + k] = vfmaq_f32(acc.v[8 + i + k], second.v[k], b);
    }
  }
  return acc;
}
inline F32x16 sum_columns(const Partials& p) {
  return each([&](int i) {
    const float32x4_t* v = p.v + 4 * i;
    return vpaddq_f32(vpaddq_f32(v[0], v[1]), vpaddq_f32(v[2], v[3]));
  });
}

inline I32x16 izero() {
  const int32x4_t z = vdupq_n_s32(0);
  return {{z, z, z, z}};
}
inline I32x16 add(I32x16 a, I32x16 b) {
  I32x16 r;
  for (int i = 0; i < 4; ++i) r.v[i] = vaddq_s32(a.v[i], b.v[i]);
  return r;
}
inline void store_halves(std::int32_t* low, std::int32_t* high, I32x16 a) {
  vst1q_s32(low, a.v[0]);
  vst1q_s32(low + 4, a.v[1]);
  vst1q_s32(high, a.v[2]);
  vst1q_s32(high + 4, a.v[3]);
}
inline void store(std::int32_t* p, I32x16 a) { store_halves(p, p + 8, a); }
inline F32x16 to_float(I32x16 a) {
  return each([&](int i) { return vcvtq_f32_s32(a.v[i]); });
}

inline int8x16_t shifted_quad(const std::uint8_t* u) {
  std::uint32_t quad;
  __builtin_memcpy(&quad, u, 4);
  const uint8x16_t all = vreinterpretq_u8_u32(vdupq_n_u32(quad));
  return vreinterpretq_s8_u8(vsubq_u8(all, vdupq_n_u8(127)));
}
inline int32x4_t dot4(int32x4_t acc, int8x16_t x, const std::int8_t* w) {
  const int8x16_t weights = vld1q_s8(w);
#if defined(__ARM_FEATURE_DOTPROD)
  return vdotq_s32(acc, x, weights);
#else
  // |x| <= 127 and |w| <= 127: two products fit 16 bits, and pairs of those are added in 32.
  const int16x8_t low = vmull_s8(vget_low_s8(x), vget_low_s8(weights));
  const int16x8_t high = vmull_s8(vget_high_s8(x), vget_high_s8(weights));
  return vpadalq_s16(acc, vpaddq_s16(low, high));
#endif
}
inline I32x16 dot_halves(I32x16 acc, const std::uint8_t* low, const std::uint8_t* high,
                         const std::int8_t* w) {
  const int8x16_t x = shifted_quad(low), y = shifted_quad(high);
  return {{dot4(acc.v[0], x, w), dot4(acc.v[1], x, w + 16), dot4(acc.v[2], y, w + 32),
           dot4(acc.v[3], y, w + 48)}};
}
inline I32x16 dot_rows(I32x16 acc, const std::uint8_t* u, const std::int8_t* w) {
  const int8x16_t x = shifted_quad(u);
  return {{dot4(acc.v[0], x, w), dot4(acc.v[1], x, w + 16), dot4(acc.v[2], x, w + 32),
           dot4(acc.v[3], x, w + 48)}};
}
struct I8x64 {
  const std::int8_t* p;
};
inline I8x64 load_weights(const std::int8_t* w) { return {w}; }
inline I32x16 dot_halves(I32x16 acc, const std::uint8_t* low, const std::uint8_t* high, I8x64 w) {
  return dot_halves(acc, low, high, w.p);
}
inline I32x16 dot_rows(I32x16 acc, const std::uint8_t* u, I8x64 w) { return dot_rows(acc, u, w.p); }
struct Quad {
  int8x16_t v;
};
inline Quad load_quad_lanes(const std::uint8_t* u) { return {shifted_quad(u)}; }
inline I32x16 dot_any(I32x16 acc, Quad u, I8x64 w) {
  return {{dot4(acc.v[0], u.v, w.p), dot4(acc.v[1], u.v, w.p + 16), dot4(acc.v[2], u.v, w.p + 32),
           dot4(acc.v[3], u.v, w.p + 48)}};
}
inline I32x16 dot_finish(I32x16 acc, const std::int32_t* low_row_sums,
                         const std::int32_t* high_row_sums) {
  const int32x4_t offset = vdupq_n_s32(127);
  return {{vmlaq_s32(acc.v[0], vld1q_s32(low_row_sums), offset),
           vmlaq_s32(acc.v[1], vld1q_s32(low_row_sums + 4), offset),
           vmlaq_s32(acc.v[2], vld1q_s32(high_row_sums), offset),
           vmlaq_s32(acc.v[3], vld1q_s32(high_row_sums + 4), offset)}};
}

}  // namespace
}  // namespace pyvoc::kernels
#endif  // PYVOC_KERNELS_SIMD_NEON_H_
