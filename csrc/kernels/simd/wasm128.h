// The vector vocabulary on WebAssembly's 128-bit vectors: 16 lanes are four of them. Every value is
// that of simd/scalar.h to the bit: products and sums are rounded one by one (there is no fused
// instruction), in its order, so its constants are also this tier's. Conversions of floats to
// integers that saturate are slow, so where the range is known, 1.5 * 2^23 is added instead: the
// sum's low bits are the rounded number. See simd/scalar.h for what each function means.
#ifndef PYVOC_KERNELS_SIMD_WASM128_H_
#define PYVOC_KERNELS_SIMD_WASM128_H_

#include <wasm_simd128.h>

#include <cstdint>

namespace pyvoc::kernels {
namespace {

constexpr int kBestLanes = 8;
constexpr int kAccumulators = 2;
constexpr int kTileRows = 2, kTilePanels = 1;

// A module is fetched: what is written out once is smaller, and as fast.
#define PYVOC_SIMD_GATE_CALLED 1

struct F32x16 {
  v128_t v[4];
};
struct I32x16 {
  v128_t v[4];
};

template <typename Op>
inline F32x16 each(Op op) {
  return {{op(0), op(1), op(2), op(3)}};
}

inline F32x16 set1(float x) {
  return each([&](int) { return wasm_f32x4_splat(x); });
}
inline F32x16 zero() { return set1(0.0f); }
inline F32x16 load(const float* p) {
  return each([&](int i) { return wasm_v128_load(p + 4 * i); });
}
inline F32x16 load(const std::uint16_t* p) {
  return each([&](int i) { return wasm_i32x4_shl(wasm_u32x4_load16x4(p + 4 * i), 16); });
}
inline F32x16 load_halves(const float* low, const float* high) {
  return {{wasm_v128_load(low), wasm_v128_load(low + 4), wasm_v128_load(high),
           wasm_v128_load(high + 4)}};
}
inline F32x16 set_halves(float low, float high) {
  return each([&](int i) { return wasm_f32x4_splat(i < 2 ? low : high); });
}
inline F32x16 load_float(const std::int32_t* p) {
  return each([&](int i) { return wasm_f32x4_convert_i32x4(wasm_v128_load(p + 4 * i)); });
}
inline void load_pairs(const std::uint16_t* p, F32x16& first, F32x16& second) {
  for (int i = 0; i < 4; ++i) {
    const v128_t both = wasm_v128_load(p + 8 * i);
    first.v[i] = wasm_i32x4_shl(both, 16);
    second.v[i] = wasm_v128_and(both, wasm_u32x4_splat(0xffff0000u));
  }
}
inline F32x16 sum_i16(const std::int16_t* a, const std::int16_t* b, const std::int16_t* c) {
  F32x16 r;
  for (int i = 0; i < 2; ++i) {
    const v128_t sum =
        wasm_i16x8_add(wasm_i16x8_add(wasm_v128_load(a + 8 * i), wasm_v128_load(b + 8 * i)),
                       wasm_v128_load(c + 8 * i));
    r.v[2 * i] = wasm_f32x4_convert_i32x4(wasm_i32x4_extend_low_i16x8(sum));
    r.v[2 * i + 1] = wasm_f32x4_convert_i32x4(wasm_i32x4_extend_high_i16x8(sum));
  }
  return r;
}
inline void store_halves(float* low, float* high, F32x16 a) {
  wasm_v128_store(low, a.v[0]);
  wasm_v128_store(low + 4, a.v[1]);
  wasm_v128_store(high, a.v[2]);
  wasm_v128_store(high + 4, a.v[3]);
}
inline void store(float* p, F32x16 a) { store_halves(p, p + 8, a); }

inline F32x16 add(F32x16 a, F32x16 b) {
  return each([&](int i) { return wasm_f32x4_add(a.v[i], b.v[i]); });
}
inline F32x16 sub(F32x16 a, F32x16 b) {
  return each([&](int i) { return wasm_f32x4_sub(a.v[i], b.v[i]); });
}
inline F32x16 mul(F32x16 a, F32x16 b) {
  return each([&](int i) { return wasm_f32x4_mul(a.v[i], b.v[i]); });
}
inline F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {
  return each([&](int i) { return wasm_f32x4_add(wasm_f32x4_mul(a.v[i], b.v[i]), c.v[i]); });
}
// pmax(x, y) is x < y ? y : x and pmin(x, y) is y < x ? y : x, NaN and zeros of both signs
// included.
inline F32x16 max(F32x16 a, F32x16 b) {
  return each([&](int i) { return wasm_f32x4_pmax(b.v[i], a.v[i]); });
}
inline F32x16 clamp(F32x16 a, F32x16 limit) {
  return each([&](int i) {
    const v128_t low = wasm_f32x4_pmax(wasm_f32x4_neg(limit.v[i]), a.v[i]);
    return wasm_f32x4_pmin(limit.v[i], low);
  });
}
inline std::uint32_t greater_bits(F32x16 a, F32x16 b) {
  std::uint32_t bits = 0;
  for (int i = 0; i < 4; ++i) {
    bits |= static_cast<std::uint32_t>(wasm_i32x4_bitmask(wasm_f32x4_gt(a.v[i], b.v[i])))
            << (4 * i);
  }
  return bits;
}
// A whole number of few bits stands in the low bits of the sum, modulo a power of two.
inline v128_t round_to_bits(v128_t x) { return wasm_f32x4_add(x, wasm_f32x4_splat(12582912.0f)); }
inline F32x16 pow2(F32x16 n) {
  return each([&](int i) {
    return wasm_i32x4_shl(wasm_i32x4_add(round_to_bits(n.v[i]), wasm_i32x4_splat(127)), 23);
  });
}
inline F32x16 reciprocal(F32x16 a) {
  return each([&](int i) { return wasm_f32x4_div(wasm_f32x4_splat(1.0f), a.v[i]); });
}
inline F32x16 reciprocal_fast(F32x16 a) { return reciprocal(a); }
inline void transpose(F32x16 (&v)[16]) {
  float from[16][16], to[16];
  for (int i = 0; i < 16; ++i) store(from[i], v[i]);
  for (int i = 0; i < 16; ++i) {
    for (int j = 0; j < 16; ++j) to[j] = from[j][i];
    v[i] = load(to);
  }
}
inline void transpose_halves(F32x16 (&v)[8]) {
  float from[8][16], to[16];
  for (int i = 0; i < 8; ++i) store(from[i], v[i]);
  for (int i = 0; i < 8; ++i) {
    for (int j = 0; j < 8; ++j) to[j] = from[j][i], to[8 + j] = from[j][8 + i];
    v[i] = load(to);
  }
}
inline void store_u8(std::uint8_t* p, F32x16 a) {
  v128_t x[4];
  for (int i = 0; i < 4; ++i) {
    x[i] = wasm_v128_and(round_to_bits(a.v[i]), wasm_i32x4_splat(0xff));
  }
  wasm_v128_store(p, wasm_u8x16_narrow_i16x8(wasm_i16x8_narrow_i32x4(x[0], x[1]),
                                             wasm_i16x8_narrow_i32x4(x[2], x[3])));
}

struct Partials {
  v128_t v[16];  // a row each
};
inline Partials zero_partials() {
  Partials p;
  for (int i = 0; i < 16; ++i) p.v[i] = wasm_f32x4_splat(0.0f);
  return p;
}
inline Partials fma_blocks(Partials acc, const float* low, const float* high, const float* w) {
  const v128_t a = wasm_v128_load(low), b = wasm_v128_load(high);
  for (int i = 0; i < 16; ++i) {
    const v128_t product = wasm_f32x4_mul(wasm_v128_load(w + 4 * i), i < 8 ? a : b);
    acc.v[i] = wasm_f32x4_add(acc.v[i], product);
  }
  return acc;
}
inline Partials fma_blocks(Partials acc, const float* low, const float* high,
                           const std::uint16_t* w) {
  const v128_t a = wasm_v128_load(low), b = wasm_v128_load(high);
  for (int i = 0; i < 8; i += 4) {
    F32x16 first, second;
    load_pairs(w + 8 * i, first, second);
    for (int k = 0; k < 4; ++k) {
      acc.v[i + k] = wasm_f32x4_add(acc.v[i + k], wasm_f32x4_mul(first.v[k], a));
      acc.v[8 + i + k] = wasm_f32x4_add(acc.v[8 + i + k], wasm_f32x4_mul(second.v[k], b));
    }
  }
  return acc;
}
// x0 + x1, x2 + x3, y0 + y1, y2 + y3.
inline v128_t add_pairs(v128_t x, v128_t y) {
  return wasm_f32x4_add(wasm_i32x4_shuffle(x, y, 0, 2, 4, 6), wasm_i32x4_shuffle(x, y, 1, 3, 5, 7));
}
inline F32x16 sum_columns(const Partials& p) {
  return each([&](int i) {
    const v128_t* v = p.v + 4 * i;
    return add_pairs(add_pairs(v[0], v[1]), add_pairs(v[2], v[3]));
  });
}

inline I32x16 izero() {
  const v128_t z = wasm_i32x4_splat(0);
  return {{z, z, z, z}};
}
inline I32x16 add(I32x16 a, I32x16 b) {
  I32x16 r;
  for (int i = 0; i < 4; ++i) r.v[i] = wasm_i32x4_add(a.v[i], b.v[i]);
  return r;
}
inline void store_halves(std::int32_t* low, std::int32_t* high, I32x16 a) {
  wasm_v128_store(low, a.v[0]);
  wasm_v128_store(low + 4, a.v[1]);
  wasm_v128_store(high, a.v[2]);
  wasm_v128_store(high + 4, a.v[3]);
}
inline void store(std::int32_t* p, I32x16 a) { store_halves(p, p + 8, a); }
inline F32x16 to_float(I32x16 a) {
  return each([&](int i) { return wasm_f32x4_convert_i32x4(a.v[i]); });
}

// int8 products: even and odd bytes become 16-bit lanes, whose products the one widening dot
// product of WebAssembly adds in pairs. Nothing saturates, so pairs of weights need no bound.
struct Quad {
  v128_t even, odd;
};
inline Quad load_quad_lanes(const std::uint8_t* u) {
  const v128_t all = wasm_v128_load32_splat(u);
  return {wasm_v128_and(all, wasm_i16x8_splat(0xff)), wasm_u16x8_shr(all, 8)};
}
struct I8x64 {
  v128_t even[4], odd[4];
};
inline I8x64 load_weights(const std::int8_t* w) {
  I8x64 r;
  for (int i = 0; i < 4; ++i) {
    const v128_t bytes = wasm_v128_load(w + 16 * i);
    r.even[i] = wasm_i16x8_shr(wasm_i16x8_shl(bytes, 8), 8);
    r.odd[i] = wasm_i16x8_shr(bytes, 8);
  }
  return r;
}
inline I32x16 dot_any(I32x16 acc, Quad u, const I8x64& w) {
  for (int i = 0; i < 4; ++i) {
    acc.v[i] = wasm_i32x4_add(acc.v[i], wasm_i32x4_add(wasm_i32x4_dot_i16x8(w.even[i], u.even),
                                                       wasm_i32x4_dot_i16x8(w.odd[i], u.odd)));
  }
  return acc;
}
inline I32x16 dot_halves(I32x16 acc, const std::uint8_t* low, const std::uint8_t* high,
                         const I8x64& w) {
  const Quad x = load_quad_lanes(low), y = load_quad_lanes(high);
  for (int i = 0; i < 4; ++i) {
    const Quad& u = i < 2 ? x : y;
    acc.v[i] = wasm_i32x4_add(acc.v[i], wasm_i32x4_add(wasm_i32x4_dot_i16x8(w.even[i], u.even),
                                                       wasm_i32x4_dot_i16x8(w.odd[i], u.odd)));
  }
  return acc;
}
inline I32x16 dot_halves(I32x16 acc, const std::uint8_t* low, const std::uint8_t* high,
                         const std::int8_t* w) {
  return dot_halves(acc, low, high, load_weights(w));
}
inline I32x16 dot_rows(I32x16 acc, const std::uint8_t* u, const I8x64& w) {
  return dot_any(acc, load_quad_lanes(u), w);
}
inline I32x16 dot_rows(I32x16 acc, const std::uint8_t* u, const std::int8_t* w) {
  return dot_rows(acc, u, load_weights(w));
}
inline I32x16 dot_finish(I32x16 acc, const std::int32_t* /*low_row_sums*/,
                         const std::int32_t* /*high_row_sums*/) {
  return acc;
}

}  // namespace
}  // namespace pyvoc::kernels
#endif  // PYVOC_KERNELS_SIMD_WASM128_H_
