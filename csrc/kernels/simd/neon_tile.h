// ByteTile on Arm: the int32 sums of some rows of bytes with the 16 outputs of a panel, 16 columns
// at a time. Three forms of it: multiply and widen, dot products, products of small matrices. The
// sums are those of neon.h's dot_rows: dot_finish is still to come.
#ifndef PYVOC_KERNELS_SIMD_NEON_TILE_H_
#define PYVOC_KERNELS_SIMD_NEON_TILE_H_

#include <arm_neon.h>

#include <cstdint>

#include "kernels/unrolled.h"

namespace pyvoc::kernels {
namespace {

#define PYVOC_SIMD_BYTE_TILE 1

// GCC loads many weights ahead, and sums leave the registers for them: not across this.
inline PYVOC_ALWAYS_INLINE void load_in_order() {
#if defined(__GNUC__)
  asm volatile("" ::: "memory");
#endif
}

#if defined(__ARM_FEATURE_MATMUL_INT8)

constexpr int kByteTileRows = 6;

// A product is of two rows and two outputs, eight columns long: a sum is [row][output].
template <int kRows>
class ByteTile {
 public:
  ByteTile() {
    unrolled<kPairs>(
        [&](auto p) { unrolled<8>([&](auto i) { sums_[p.value][i.value] = vdupq_n_s32(0); }); });
  }

  // x.at(r): where row r's columns begin; w: [4][16][4].
  template <typename Rows>
  PYVOC_ALWAYS_INLINE void add_columns(const Rows& x, const std::int8_t* w) {
    unrolled<2>([&](auto half) PYVOC_ALWAYS_INLINE {
      uint8x16_t inputs[kPairs];
      unrolled<kPairs>([&](auto p) PYVOC_ALWAYS_INLINE {
        constexpr int kFirst = 2 * decltype(p)::value;
        constexpr int kSecond = kFirst + 1 < kRows ? kFirst + 1 : kFirst;
        inputs[p.value] = vcombine_u8(vld1_u8(x.at(kFirst) + 8 * half.value),
                                      vld1_u8(x.at(kSecond) + 8 * half.value));
      });
      unrolled<4>([&](auto i) PYVOC_ALWAYS_INLINE {
        load_in_order();
        const std::int8_t* from = w + 128 * half.value + 16 * i.value;
        const int32x4_t a = vreinterpretq_s32_s8(vld1q_s8(from));
        const int32x4_t b = vreinterpretq_s32_s8(vld1q_s8(from + 64));
        const int8x16_t low = vreinterpretq_s8_s32(vzip1q_s32(a, b));
        const int8x16_t high = vreinterpretq_s8_s32(vzip2q_s32(a, b));
        unrolled<kPairs>([&](auto p) PYVOC_ALWAYS_INLINE {
          int32x4_t* sums = sums_[p.value] + 2 * i.value;
          sums[0] = vusmmlaq_s32(sums[0], inputs[p.value], low);
          sums[1] = vusmmlaq_s32(sums[1], inputs[p.value], high);
        });
      });
    });
  }

  template <int kRow>
  I32x16 row(Index<kRow>) const {
    I32x16 r;
    unrolled<4>([&](auto i) {
      const int64x2_t a = vreinterpretq_s64_s32(sums_[kRow / 2][2 * i.value]);
      const int64x2_t b = vreinterpretq_s64_s32(sums_[kRow / 2][2 * i.value + 1]);
      r.v[i.value] = vreinterpretq_s32_s64(kRow % 2 == 0 ? vzip1q_s64(a, b) : vzip2q_s64(a, b));
    });
    return r;
  }

 private:
  static constexpr int kPairs = (kRows + 1) / 2;
  int32x4_t sums_[kPairs][8];
};

#elif defined(__ARM_FEATURE_DOTPROD)

constexpr int kByteTileRows = 6;

template <int kRows>
class ByteTile {
 public:
  ByteTile() {
    unrolled<kRows>(
        [&](auto r) { unrolled<4>([&](auto i) { sums_[r.value][i.value] = vdupq_n_s32(0); }); });
  }

  template <typename Rows>
  PYVOC_ALWAYS_INLINE void add_columns(const Rows& x, const std::int8_t* w) {
    int8x16_t inputs[kRows];
    unrolled<kRows>([&](auto r) PYVOC_ALWAYS_INLINE {
      inputs[r.value] = vreinterpretq_s8_u8(vsubq_u8(vld1q_u8(x.at(r.value)), vdupq_n_u8(127)));
    });
    unrolled<4>([&](auto quad) PYVOC_ALWAYS_INLINE {
      unrolled<4>([&](auto i) PYVOC_ALWAYS_INLINE {
        load_in_order();
        const int8x16_t weights = vld1q_s8(w + 64 * quad.value + 16 * i.value);
        unrolled<kRows>([&](auto r) PYVOC_ALWAYS_INLINE {
          int32x4_t& sum = sums_[r.value][i.value];
          sum = vdotq_laneq_s32(sum, weights, inputs[r.value], decltype(quad)::value);
        });
      });
    });
  }

  template <int kRow>
  I32x16 row(Index<kRow>) const {
    return {{sums_[kRow][0], sums_[kRow][1], sums_[kRow][2], sums_[kRow][3]}};
  }

 private:
  int32x4_t sums_[kRows][4];
};

#else

inline int16x8_t add_products_high(int16x8_t acc, int8x16_t a, int8x16_t b) {
#if defined(__aarch64__)
  return vmlal_high_s8(acc, a, b);
#else
  return vmlal_s8(acc, vget_high_s8(a), vget_high_s8(b));
#endif
}

#if defined(__aarch64__)
constexpr int kByteTileRows = 2;
#else
constexpr int kByteTileRows = 1;
#endif

// Two products of -127..127 fit 16 bits: those of a column and of the one four columns on are added
// there, then neighbours, in 32. So an output's sum is in two parts.
template <int kRows>
class ByteTile {
 public:
  ByteTile() {
    unrolled<kRows>(
        [&](auto r) { unrolled<8>([&](auto i) { sums_[r.value][i.value] = vdupq_n_s32(0); }); });
  }

  template <typename Rows>
  PYVOC_ALWAYS_INLINE void add_columns(const Rows& x, const std::int8_t* w) {
    unrolled<2>([&](auto half) PYVOC_ALWAYS_INLINE {
      int32x2_t inputs[kRows];
      unrolled<kRows>([&](auto r) PYVOC_ALWAYS_INLINE {
        inputs[r.value] =
            vreinterpret_s32_u8(vsub_u8(vld1_u8(x.at(r.value) + 8 * half.value), vdup_n_u8(127)));
      });
      unrolled<4>([&](auto i) PYVOC_ALWAYS_INLINE {
        load_in_order();
        const int8x16_t a = vld1q_s8(w + 128 * half.value + 16 * i.value);
        const int8x16_t b = vld1q_s8(w + 128 * half.value + 16 * i.value + 64);
        unrolled<kRows>([&](auto r) PYVOC_ALWAYS_INLINE {
          const int8x16_t first = vreinterpretq_s8_s32(vdupq_lane_s32(inputs[r.value], 0));
          const int8x16_t second = vreinterpretq_s8_s32(vdupq_lane_s32(inputs[r.value], 1));
          int32x4_t* sums = sums_[r.value] + 2 * i.value;
          const int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(first));
          sums[0] = vpadalq_s16(sums[0], vmlal_s8(low, vget_low_s8(b), vget_low_s8(second)));
          sums[1] = vpadalq_s16(sums[1], add_products_high(multiply_high(a, first), b, second));
        });
      });
    });
  }

  template <int kRow>
  I32x16 row(Index<kRow>) const {
    I32x16 r;
    unrolled<4>([&](auto i) {
      r.v[i.value] = add_neighbours(sums_[kRow][2 * i.value], sums_[kRow][2 * i.value + 1]);
    });
    return r;
  }

 private:
  int32x4_t sums_[kRows][8];
};

#endif

}  // namespace
}  // namespace pyvoc::kernels
#endif  // PYVOC_KERNELS_SIMD_NEON_TILE_H_
