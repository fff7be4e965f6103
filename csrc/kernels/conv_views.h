// Convolutions over time-major activations [row][channel]: a product of many rows with one matrix.
// Weights are packed as Dense<T> (views.h); channels are padded to 16 with zero weights, so every
// row is whole vectors.
#ifndef PYVOC_KERNELS_CONV_VIEWS_H_
#define PYVOC_KERNELS_CONV_VIEWS_H_

#include <cstddef>
#include <cstdint>

namespace pyvoc::kernels {

constexpr std::int32_t kMaxSegments = 16;

// Where a row of inputs lies: row i is segment after segment, cols[s] numbers at
// base[s] + i * stride[s]. The taps of a dilated convolution are segments; taps side by side are
// one. cols[s] are multiples of 16.
template <typename X>
struct ConvInput {
  std::int32_t segments = 0;
  const X* base[kMaxSegments] = {};
  std::ptrdiff_t stride[kMaxSegments] = {};
  std::int32_t cols[kMaxSegments] = {};
};

// What to do with a row of sums. Each pointer that is not null gets rows of 16 * panels numbers,
// `stride` apart: the value, its leaky rectification max(v, leak v), or these as bytes
// round(v * inverse + offset) + 127, within 0..254. `add` has such rows too, which are added to the
// value first; it may be `value`. Gated convolutions know neither `add` nor `active`, and their
// rows are 8 * panels numbers.
struct ConvOutput {
  std::ptrdiff_t stride = 0;
  const float* bias = nullptr;   // [16 * panels]
  const float* scale = nullptr;  // int8: [16 * panels] value = sum * scale + bias
  const float* add = nullptr;
  float leak = 0.0f;  // 0..1
  float* value = nullptr;
  float* active = nullptr;
  std::uint8_t* value_u8 = nullptr;
  std::uint8_t* active_u8 = nullptr;
  const float* value_inverse = nullptr;  // of bytes: [16 * panels] each
  const float* value_offset = nullptr;
  const float* active_inverse = nullptr;
  const float* active_offset = nullptr;
};

// The same with every pointer to rows n numbers further.
inline ConvOutput advanced(ConvOutput out, std::ptrdiff_t n) {
  if (out.add != nullptr) out.add += n;
  if (out.value != nullptr) out.value += n;
  if (out.active != nullptr) out.active += n;
  if (out.value_u8 != nullptr) out.value_u8 += n;
  if (out.active_u8 != nullptr) out.active_u8 += n;
  return out;
}

// Rows of a gated convolution. Its inputs are multiplied with the weights from `column` on. Float
// sums may begin elsewhere than at the bias, and leave s1 - (s2 - s1) for rows that follow, s1 and
// s2 being what they are after one segment and after two. Both have rows of 16 * panels numbers.
template <typename X>
struct GatedRows {
  ConvInput<X> in;
  ConvOutput out;
  std::int32_t rows = 0;
  std::int32_t column = 0;  // a multiple of 16
  const float* begin = nullptr;
  float* leave = nullptr;
  std::ptrdiff_t sums_stride = 0;
};

// The points at which weights and inputs are evaluated are these, their opposites, and infinity.
// Taps are divided into as few parts as can be, of four or three each, the last perhaps of fewer;
// infinity is for those of four, which come first. A panel's columns are [6 points][parts]
// [channels], then infinity [fours][channels].
constexpr float kWinogradPoints[3] = {0.375f, 0.875f, 2.0f};
constexpr int kWinogradEvaluations = 7;

constexpr std::int32_t winograd_parts(std::int32_t taps) { return (taps + 3) / 4; }
constexpr std::int32_t winograd_fours(std::int32_t taps) {
  return taps > 3 * winograd_parts(taps) ? taps - 3 * winograd_parts(taps) : 0;
}
// The first tap of a part.
constexpr std::int32_t winograd_tap(std::int32_t taps, std::int32_t part) {
  return 3 * part + (part < winograd_fours(taps) ? part : winograd_fours(taps));
}
constexpr std::int32_t winograd_columns(std::int32_t taps, std::int32_t channels) {
  return (6 * winograd_parts(taps) + winograd_fours(taps)) * channels;
}

// Four rows of outputs, a dilation apart.
struct WinogradTile {
  std::int32_t row;   // the first
  std::int32_t skip;  // how many of the first are not wanted
};

// Row r of the inputs, [channels] in use, lies at base + r * stride; all rows that a tile's outputs
// need are there. The taps, an odd number, are a dilation apart; the middle one is at the output.
struct WinogradInput {
  const float* base = nullptr;
  std::ptrdiff_t stride = 0;
  std::int32_t channels = 0;  // a multiple of 16
  std::int32_t dilation = 1;
  std::int32_t taps = 3;
  const WinogradTile* tiles = nullptr;
};

}  // namespace pyvoc::kernels
#endif  // PYVOC_KERNELS_CONV_VIEWS_H_
