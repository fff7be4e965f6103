// The vector vocabulary on Arm's NEON, 64 bit (and the extensions dotprod, i8mm and bf16 where the
// tier has them) or 32 bit with fused products (VFPv4): 16 lanes are four registers, of 32 or
// of 16. Without i8mm NEON's products are signed by signed: activations are shifted by -127 here
// and dot_finish adds 127 * (sum of the row's weights). See simd/scalar.h for what each function
// means.
#ifndef PYVOC_KERNELS_SIMD_NEON_H_
#define PYVOC_KERNELS_SIMD_NEON_H_

#include <arm_neon.h>

#include <cstdint>

namespace pyvoc::kernels {
namespace {

constexpr int kBestLanes = 8;
#if defined(__aarch64__)
constexpr int kAccumulators = 6;
constexpr int kTileRows = 6, kTilePanels = 1;
#else
constexpr int kAccumulators = 2;
constexpr int kTileRows = 2, kTilePanels = 1;
#endif

// Two gates side by side have more constants than there are registers.
#define PYVOC_SIMD_GATE_CALLED 1

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
  return each([&](int i) {
    const float32x4_t least = vnegq_f32(limit.v[i]);
#if defined(__aarch64__)
    return vminnmq_f32(vmaxnmq_f32(a.v[i], least), limit.v[i]);
#else
    return vminq_f32(vbslq_f32(vcgtq_f32(a.v[i], least), a.v[i], least), limit.v[i]);
#endif
  });
}
#if defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
#define PYVOC_SIMD_BF16_PRODUCTS 1
struct Bf16x32 {
  bfloat16x8_t v[4];
};
inline Bf16x32 load_bf16(const std::uint16_t* p) {
  Bf16x32 r;
  for (int i = 0; i < 4; ++i) r.v[i] = vreinterpretq_bf16_u16(vld1q_u16(p + 8 * i));
  return r;
}
inline Bf16x32 set1_pair(const std::uint16_t* p) {
  std::uint32_t both;
  __builtin_memcpy(&both, p, 4);
  const bfloat16x8_t pair = vreinterpretq_bf16_u32(vdupq_n_u32(both));
  return {{pair, pair, pair, pair}};
}
inline void store_bf16(std::uint16_t* p, F32x16 a) {
  for (int i = 0; i < 2; ++i) {
    const bfloat16x8_t near = vcvtq_high_bf16_f32(vcvtq_low_bf16_f32(a.v[2 * i]), a.v[2 * i + 1]);
    vst1q_u16(p + 8 * i, vreinterpretq_u16_bf16(near));
  }
}
inline F32x16 dot_bf16(F32x16 acc, const Bf16x32& w, const Bf16x32& x) {
  return each([&](int i) { return vbfdotq_f32(acc.v[i], w.v[i], x.v[i]); });
}
#endif

// Sums of neighbours: of a's, then of b's.
inline float32x4_t add_neighbours(float32x4_t a, float32x4_t b) {
#if defined(__aarch64__)
  return vpaddq_f32(a, b);
#else
  return vcombine_f32(vpadd_f32(vget_low_f32(a), vget_high_f32(a)),
                      vpadd_f32(vget_low_f32(b), vget_high_f32(b)));
#endif
}
inline int32x4_t add_neighbours(int32x4_t a, int32x4_t b) {
#if defined(__aarch64__)
  return vpaddq_s32(a, b);
#else
  return vcombine_s32(vpadd_s32(vget_low_s32(a), vget_high_s32(a)),
                      vpadd_s32(vget_low_s32(b), vget_high_s32(b)));
#endif
}
inline int16x8_t add_neighbours(int16x8_t a, int16x8_t b) {
#if defined(__aarch64__)
  return vpaddq_s16(a, b);
#else
  return vcombine_s16(vpadd_s16(vget_low_s16(a), vget_high_s16(a)),
                      vpadd_s16(vget_low_s16(b), vget_high_s16(b)));
#endif
}
inline std::uint32_t greater_bits(F32x16 a, F32x16 b) {
  const std::uint32_t weights[4] = {1, 2, 4, 8};
  const uint32x4_t weight = vld1q_u32(weights);
  std::uint32_t bits = 0;
  for (int i = 0; i < 4; ++i) {
    const uint32x4_t some = vandq_u32(vcgtq_f32(a.v[i], b.v[i]), weight);
#if defined(__aarch64__)
    bits |= vaddvq_u32(some) << (4 * i);
#else
    const uint32x2_t pairs = vpadd_u32(vget_low_u32(some), vget_high_u32(some));
    bits |= vget_lane_u32(vpadd_u32(pairs, pairs), 0) << (4 * i);
#endif
  }
  return bits;
}
inline F32x16 pow2(F32x16 n) {
  return each([&](int i) {
    const int32x4_t exponent = vaddq_s32(vcvtq_s32_f32(n.v[i]), vdupq_n_s32(127));
    return vreinterpretq_f32_s32(vshlq_n_s32(exponent, 23));
  });
}
// An estimate of 8 bits, whose precision a step doubles.
inline float32x4_t newton_step(float32x4_t a, float32x4_t r) {
  return vmulq_f32(r, vrecpsq_f32(a, r));
}
inline F32x16 reciprocal_fast(F32x16 a) {
  return each([&](int i) { return newton_step(a.v[i], newton_step(a.v[i], vrecpeq_f32(a.v[i]))); });
}
inline F32x16 reciprocal(F32x16 a) {
#if defined(__aarch64__)
  return each([&](int i) { return vdivq_f32(vdupq_n_f32(1.0f), a.v[i]); });
#else
  const F32x16 r = reciprocal_fast(a);  // there is no division
  return each([&](int i) { return newton_step(a.v[i], r.v[i]); });
#endif
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
inline uint32x4_t nearest(float32x4_t a) {
#if defined(__aarch64__)
  return vcvtnq_u32_f32(a);
#else
  // The sum's last bit is worth one: it is rounded, and its low 16 bits are the integer.
  return vreinterpretq_u32_f32(vaddq_f32(a, vdupq_n_f32(0x1.8p23f)));
#endif
}
inline void store_u8(std::uint8_t* p, F32x16 a) {
  for (int half = 0; half < 2; ++half) {
    const uint16x4_t x = vmovn_u32(nearest(a.v[2 * half]));
    const uint16x4_t y = vmovn_u32(nearest(a.v[2 * half + 1]));
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
    return add_neighbours(add_neighbours(v[0], v[1]), add_neighbours(v[2], v[3]));
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

inline uint8x16_t every_quad(const std::uint8_t* u) {
  std::uint32_t quad;
  __builtin_memcpy(&quad, u, 4);
  return vreinterpretq_u8_u32(vdupq_n_u32(quad));
}
#if defined(__ARM_FEATURE_MATMUL_INT8)
using Inputs = uint8x16_t;
inline Inputs load_quad(const std::uint8_t* u) { return every_quad(u); }
#else
using Inputs = int8x16_t;
inline Inputs load_quad(const std::uint8_t* u) {
  return vreinterpretq_s8_u8(vsubq_u8(every_quad(u), vdupq_n_u8(127)));
}
#endif
// Products of the upper halves; GCC does not find the instruction for vmull_s8 of vget_high_s8.
inline int16x8_t multiply_high(int8x16_t a, int8x16_t b) {
#if defined(__aarch64__)
  return vmull_high_s8(a, b);
#else
  return vmull_s8(vget_high_s8(a), vget_high_s8(b));
#endif
}
inline int32x4_t dot4(int32x4_t acc, Inputs x, const std::int8_t* w) {
  const int8x16_t weights = vld1q_s8(w);
#if defined(__ARM_FEATURE_MATMUL_INT8)
  return vusdotq_s32(acc, x, weights);
#elif defined(__ARM_FEATURE_DOTPROD)
  return vdotq_s32(acc, x, weights);
#else
  // |x| <= 127 and |w| <= 127: two products fit 16 bits, and pairs of those are added in 32.
  const int16x8_t low = vmull_s8(vget_low_s8(x), vget_low_s8(weights));
  const int16x8_t high = multiply_high(x, weights);
  return vpadalq_s16(acc, add_neighbours(low, high));
#endif
}
inline I32x16 dot_halves(I32x16 acc, const std::uint8_t* low, const std::uint8_t* high,
                         const std::int8_t* w) {
  const Inputs x = load_quad(low), y = load_quad(high);
  return {{dot4(acc.v[0], x, w), dot4(acc.v[1], x, w + 16), dot4(acc.v[2], y, w + 32),
           dot4(acc.v[3], y, w + 48)}};
}
inline I32x16 dot_rows(I32x16 acc, const std::uint8_t* u, const std::int8_t* w) {
  const Inputs x = load_quad(u);
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
#if defined(__ARM_FEATURE_MATMUL_INT8)
inline I32x16 dot_finish(I32x16 acc, const std::int32_t* /*low_row_sums*/,
                         const std::int32_t* /*high_row_sums*/) {
  return acc;
}
#else
inline I32x16 dot_finish(I32x16 acc, const std::int32_t* low_row_sums,
                         const std::int32_t* high_row_sums) {
  const int32x4_t offset = vdupq_n_s32(127);
  return {{vmlaq_s32(acc.v[0], vld1q_s32(low_row_sums), offset),
           vmlaq_s32(acc.v[1], vld1q_s32(low_row_sums + 4), offset),
           vmlaq_s32(acc.v[2], vld1q_s32(high_row_sums), offset),
           vmlaq_s32(acc.v[3], vld1q_s32(high_row_sums + 4), offset)}};
}
#endif

}  // namespace
}  // namespace pyvoc::kernels

// A convolution's tile of bytes, of the types above.
#include "kernels/simd/neon_tile.h"

#endif  // PYVOC_KERNELS_SIMD_NEON_H_
