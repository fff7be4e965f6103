// What the tests of convolutions share: shapes, inputs in segments, how values become bytes.
#ifndef PYVOC_TESTS_NATIVE_CONV_DATA_H_
#define PYVOC_TESTS_NATIVE_CONV_DATA_H_

#include <algorithm>
#include <cstring>

#include "base/arena.h"
#include "kernel_checks.h"
#include "nn/cells.h"

namespace pyvoc::kernels::testing {

struct Shape {
  int panels;
  std::vector<int> cols;  // of the segments
  int stride;             // between rows
};

inline const Shape kShapes[] = {
    {1, {16}, 16},  {2, {32}, 16},         {3, {16, 16, 16}, 16}, {5, {48, 16}, 48},
    {2, {112}, 16}, {4, {64, 64, 64}, 64}, {7, {16, 32}, 32},     {1, {16, 16}, 48},
};
constexpr int kRowCounts[] = {1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 17, 24, 25, 31};

template <typename T>
std::size_t packed(int row, int col, int cols) {
  constexpr int kGroup = sizeof(T) == 4 ? 1 : sizeof(T) == 2 ? 2 : 4;
  const std::size_t group = std::size_t(row / 16) * (cols / kGroup) + col / kGroup;
  return (group * 16 + row % 16) * kGroup + col % kGroup;
}

inline int total(const Shape& shape) {
  int cols = 0;
  for (const int n : shape.cols) cols += n;
  return cols;
}

// Some segments are one chunk of cells, some two.
inline std::vector<int> chunks_of(const Shape& shape) {
  std::vector<int> chunks;
  for (const int n : shape.cols) {
    if (n % 32 == 0) chunks.push_back(n / 2);
    chunks.push_back(n % 32 == 0 ? n / 2 : n);
  }
  return chunks;
}

// Segments of different buffers begin at different places, as histories do.
template <typename X>
struct Inputs {
  std::vector<Buffer<X>> buffers;
  ConvInput<X> in;

  Inputs(const Shape& shape, int rows) {
    in.segments = static_cast<std::int32_t>(shape.cols.size());
    buffers.reserve(shape.cols.size());
    for (std::size_t s = 0; s < shape.cols.size(); ++s) {
      buffers.emplace_back(std::size_t(rows - 1) * shape.stride + shape.cols[s], s);
      in.base[s] = buffers[s].data();
      in.stride[s] = shape.stride;
      in.cols[s] = shape.cols[s];
    }
  }
  X at(int row, int col) const {
    int s = 0;
    for (; col >= in.cols[s]; ++s) col -= in.cols[s];
    return in.base[s][row * in.stride[s] + col];
  }
};

// Half way to the next goes to the even one.
inline float nearest_bf16(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  const std::uint32_t low = bits & 0xffffu, odd = bits >> 16 & 1u;
  bits >>= 16;
  if (low > 0x8000u || (low == 0x8000u && odd == 1u)) ++bits;
  return bf16_to_float(static_cast<Bf16>(bits));
}

// How values of each output become bytes.
struct Bytes {
  Buffer<float> inverse, offset;

  Bytes(int width, float about, Random& random) : inverse(width), offset(width) {
    random.fill(inverse, 0.5f * about, 1.5f * about);
    for (int o = 0; o < width; ++o) offset[o] = static_cast<float>(random.integer(-127, 127));
  }
  void set(const float*& inverses, const float*& offsets) const {
    inverses = inverse.data();
    offsets = offset.data();
  }
  int of(double value, std::size_t output) const {
    const double u = std::nearbyint(value * double{inverse[output]} + double{offset[output]}) + 127;
    return static_cast<int>(std::min(254.0, std::max(0.0, u)));
  }
};

}  // namespace pyvoc::kernels::testing
#endif  // PYVOC_TESTS_NATIVE_CONV_DATA_H_
