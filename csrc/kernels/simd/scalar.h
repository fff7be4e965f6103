// The vector vocabulary, in plain C++: the reference for every other header in this folder.
//
// One logical vector has 16 lanes on every tier (one AVX-512 register, two AVX2, four NEON), so
// packed weights have one layout. "Halves" are lanes 0..7 and 8..15. Floats are float32; `load`
// widens Bf16 (uint16) exactly. Int8 dots take activations u in 0..254 against int8 weights whose
// neighbours keep |w[2i] + w[2i+1]| <= 129 (unless the name says "any"), so no tier saturates and
// all give the same int32 sums.
#ifndef PYVOC_KERNELS_SIMD_SCALAR_H_
#define PYVOC_KERNELS_SIMD_SCALAR_H_

#include <cmath>
#include <cstdint>
#include <cstring>

namespace pyvoc::kernels {
namespace {

constexpr int kBestLanes = 8;     // rows of a batch that training takes at once
constexpr int kAccumulators = 2;  // independent chains that fit the registers
constexpr int kTileRows = 2,
              kTilePanels = 1;  // a tile of a convolution: inputs x panels of outputs

struct F32x16 {
  float v[16];
};
struct I32x16 {
  std::int32_t v[16];
};

template <typename Op>
inline F32x16 each(Op op) {
  F32x16 r;
  for (int i = 0; i < 16; ++i) r.v[i] = op(i);
  return r;
}

inline F32x16 zero() { return F32x16{}; }
inline F32x16 set1(float x) {
  return each([&](int) { return x; });
}
inline F32x16 load(const float* p) {
  return each([&](int i) { return p[i]; });
}
inline F32x16 load(const std::uint16_t* p) {
  return each([&](int i) {
    const std::uint32_t bits = static_cast<std::uint32_t>(p[i]) << 16;
    float x;
    std::memcpy(&x, &bits, 4);
    return x;
  });
}
inline F32x16 load_halves(const float* low, const float* high) {
  return each([&](int i) { return i < 8 ? low[i] : high[i - 8]; });
}
inline F32x16 set_halves(float low, float high) {
  return each([&](int i) { return i < 8 ? low : high; });
}
inline F32x16 load_float(const std::int32_t* p) {
  return each([&](int i) { return static_cast<float>(p[i]); });
}
// 16 neighbouring pairs of bfloat16: the first and the second of each.
inline void load_pairs(const std::uint16_t* p, F32x16& first, F32x16& second) {
  for (int i = 0; i < 16; ++i) {
    const std::uint32_t bits[2] = {static_cast<std::uint32_t>(p[2 * i]) << 16,
                                   static_cast<std::uint32_t>(p[2 * i + 1]) << 16};
    std::memcpy(&first.v[i], &bits[0], 4);
    std::memcpy(&second.v[i], &bits[1], 4);
  }
}
// a + b + c, which fits 16 bits.
inline F32x16 sum_i16(const std::int16_t* a, const std::int16_t* b, const std::int16_t* c) {
  return each([&](int i) { return static_cast<float>(a[i] + b[i] + c[i]); });
}
inline void store(float* p, F32x16 a) { std::memcpy(p, a.v, sizeof a.v); }
inline void store_halves(float* low, float* high, F32x16 a) {
  std::memcpy(low, a.v, 32);
  std::memcpy(high, a.v + 8, 32);
}

inline F32x16 add(F32x16 a, F32x16 b) {
  return each([&](int i) { return a.v[i] + b.v[i]; });
}
inline F32x16 sub(F32x16 a, F32x16 b) {
  return each([&](int i) { return a.v[i] - b.v[i]; });
}
inline F32x16 mul(F32x16 a, F32x16 b) {
  return each([&](int i) { return a.v[i] * b.v[i]; });
}
// a * b + c; rounded once where the tier has the instruction.
inline F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {
  return each([&](int i) { return a.v[i] * b.v[i] + c.v[i]; });
}
inline F32x16 max(F32x16 a, F32x16 b) {
  return each([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}
// x within -limit..limit; a NaN becomes a limit.
inline F32x16 clamp(F32x16 a, F32x16 limit) {
  return each([&](int i) {
    const float low = a.v[i] > -limit.v[i] ? a.v[i] : -limit.v[i];
    return low < limit.v[i] ? low : limit.v[i];
  });
}
// Bit i is set when a > b in lane i.
inline std::uint32_t greater_bits(F32x16 a, F32x16 b) {
  std::uint32_t bits = 0;
  for (int i = 0; i < 16; ++i) bits |= (a.v[i] > b.v[i] ? 1u : 0u) << i;
  return bits;
}
// 2^n for whole n within -126..127.
inline F32x16 pow2(F32x16 n) {
  return each([&](int i) {
    const std::uint32_t bits = static_cast<std::uint32_t>(static_cast<int>(n.v[i]) + 127) << 23;
    float x;
    std::memcpy(&x, &bits, 4);
    return x;
  });
}
// 1 / a to float precision, and to 13 bits or better.
inline F32x16 reciprocal(F32x16 a) {
  return each([&](int i) { return 1.0f / a.v[i]; });
}
inline F32x16 reciprocal_fast(F32x16 a) { return reciprocal(a); }
// v[i][j] becomes v[j][i].
inline void transpose(F32x16 (&v)[16]) {
  float from[16][16], to[16];
  for (int i = 0; i < 16; ++i) store(from[i], v[i]);
  for (int i = 0; i < 16; ++i) {
    for (int j = 0; j < 16; ++j) to[j] = from[j][i];
    v[i] = load(to);
  }
}
// The same within each half.
inline void transpose_halves(F32x16 (&v)[8]) {
  F32x16 from[8];
  for (int i = 0; i < 8; ++i) from[i] = v[i];
  for (int i = 0; i < 8; ++i) {
    for (int j = 0; j < 16; ++j) v[i].v[j] = from[j % 8].v[j / 8 * 8 + i];
  }
}
// Round to nearest even and store as bytes; a is within 0..255.
inline void store_u8(std::uint8_t* p, F32x16 a) {
  for (int i = 0; i < 16; ++i) p[i] = static_cast<std::uint8_t>(std::nearbyint(a.v[i]));
}

#if defined(PYVOC_SIMD_BF16_PRODUCTS)
// Products of bfloat16, where the tier has them: 16 rows of two neighbouring columns.
struct Bf16x32 {
  std::uint16_t v[32];
};
inline Bf16x32 load_bf16(const std::uint16_t* p) {
  Bf16x32 r;
  std::memcpy(r.v, p, sizeof r.v);
  return r;
}
inline Bf16x32 set1_pair(const std::uint16_t* p) {
  Bf16x32 r;
  for (int i = 0; i < 32; ++i) r.v[i] = p[i % 2];
  return r;
}
// Round to nearest even.
inline void store_bf16(std::uint16_t* p, F32x16 a) {
  for (int i = 0; i < 16; ++i) {
    std::uint32_t bits;
    std::memcpy(&bits, &a.v[i], 4);
    if (std::isnan(a.v[i])) {
      bits |= 0x400000u;  // quiet, as it might have nothing but low bits
    } else {
      bits += 0x7fffu + (bits >> 16 & 1u);
    }
    p[i] = static_cast<std::uint16_t>(bits >> 16);
  }
}
// acc[row] += w[row][0] x[row][0] + w[row][1] x[row][1]; each tier rounds in its own order, and may
// take what is below the smallest normal number for zero.
inline F32x16 dot_bf16(F32x16 acc, const Bf16x32& w, const Bf16x32& x) {
  return each([&](int i) {
    float pair[2];
    for (int k = 0; k < 2; ++k) {
      float a, b;
      const std::uint32_t a_bits = std::uint32_t{w.v[2 * i + k]} << 16;
      const std::uint32_t b_bits = std::uint32_t{x.v[2 * i + k]} << 16;
      std::memcpy(&a, &a_bits, 4);
      std::memcpy(&b, &b_bits, 4);
      pair[k] = a * b;
    }
    return (acc.v[i] + pair[1]) + pair[0];
  });
}
#endif

// Sums of 16 rows that are still spread over 4 columns: what block-sparse products add up.
struct Partials {
  float v[64];  // [row][column]
};
inline Partials zero_partials() { return Partials{}; }
// acc[row][col] += w[row][col] * x[col] for a pair of 8 x 4 blocks, each with its inputs.
inline Partials fma_blocks(Partials acc, const float* low, const float* high, const float* w) {
  for (int i = 0; i < 64; ++i) {
    const float* x = i < 32 ? low : high;
    acc.v[i] += w[i] * x[i % 4];
  }
  return acc;
}
// Bf16 blocks lie interleaved: [row of its half][column][half].
inline Partials fma_blocks(Partials acc, const float* low, const float* high,
                           const std::uint16_t* w) {
  float wide[64];
  for (int i = 0; i < 64; ++i) {
    const std::uint32_t bits = static_cast<std::uint32_t>(w[2 * (i % 32) + i / 32]) << 16;
    std::memcpy(&wide[i], &bits, 4);
  }
  return fma_blocks(acc, low, high, wide);
}
inline F32x16 sum_columns(const Partials& p) {
  return each([&](int i) {
    const float* v = p.v + 4 * i;
    return (v[0] + v[1]) + (v[2] + v[3]);
  });
}

inline I32x16 izero() { return I32x16{}; }
inline I32x16 add(I32x16 a, I32x16 b) {
  I32x16 r;
  for (int i = 0; i < 16; ++i) r.v[i] = a.v[i] + b.v[i];
  return r;
}
inline void store(std::int32_t* p, I32x16 a) { std::memcpy(p, a.v, sizeof a.v); }
inline F32x16 to_float(I32x16 a) {
  return each([&](int i) { return static_cast<float>(a.v[i]); });
}
inline void store_halves(std::int32_t* low, std::int32_t* high, I32x16 a) {
  std::memcpy(low, a.v, 32);
  std::memcpy(high, a.v + 8, 32);
}
// acc[row] += sum over 4 inputs of u * w[row][input], w [16][4]; the halves may see different
// inputs. A tier without unsigned-by-signed products may leave out a term that dot_finish adds.
inline I32x16 dot_halves(I32x16 acc, const std::uint8_t* low, const std::uint8_t* high,
                         const std::int8_t* w) {
  for (int row = 0; row < 16; ++row) {
    const std::uint8_t* u = row < 8 ? low : high;
    for (int k = 0; k < 4; ++k) acc.v[row] += u[k] * w[4 * row + k];
  }
  return acc;
}
// The same with the weights loaded before, for several inputs.
struct I8x64 {
  const std::int8_t* p;
};
inline I8x64 load_weights(const std::int8_t* w) { return {w}; }
inline I32x16 dot_halves(I32x16 acc, const std::uint8_t* low, const std::uint8_t* high, I8x64 w) {
  return dot_halves(acc, low, high, w.p);
}
inline I32x16 dot_rows(I32x16 acc, const std::uint8_t* u, const std::int8_t* w) {
  return dot_halves(acc, u, u, w);
}
inline I32x16 dot_rows(I32x16 acc, const std::uint8_t* u, I8x64 w) { return dot_rows(acc, u, w.p); }
// Four inputs for all rows, and the product for weights -127..127 whose pairs are not bounded.
struct Quad {
  const std::uint8_t* p;
};
inline Quad load_quad_lanes(const std::uint8_t* u) { return {u}; }
inline I32x16 dot_any(I32x16 acc, Quad u, I8x64 w) { return dot_rows(acc, u.p, w.p); }
inline I32x16 dot_finish(I32x16 acc, const std::int32_t* /*low_row_sums*/,
                         const std::int32_t* /*high_row_sums*/) {
  return acc;
}

}  // namespace
}  // namespace pyvoc::kernels
#endif  // PYVOC_KERNELS_SIMD_SCALAR_H_
