// Packed weights as the kernels read them. One layout for every tier: rows in groups of 16 (two
// halves of 8 where blocks are sparse), so packing knows nothing of the ISA. Plain data: memory is
// owned by an Arena, pointers are 64-byte aligned.
#ifndef PYVOC_KERNELS_VIEWS_H_
#define PYVOC_KERNELS_VIEWS_H_

#include <cstdint>
#include <cstring>

namespace pyvoc::kernels {

using Bf16 = std::uint16_t;  // the upper half of a float

inline float bf16_to_float(Bf16 x) {
  const std::uint32_t bits = std::uint32_t{x} << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// Dense [rows, cols], rows padded to panels of 16.
//   float [panel][col][16];  Bf16 [panel][col / 2][16][2], cols padded to even;
//   int8 [panel][col / 4][16][4], cols padded to a multiple of 4. Inputs x are readable up to the
//   padding.
//
// Products go by groups of kPanelGroup panels, whose float sums are added in an order of their own:
// whoever divides a matrix divides it between groups.
constexpr int kPanelGroup = 4;

// int8 weights -127..127 for processors that add two products in 16 saturating bits: half a panel
// is a list of cells of 8 rows x 4 columns, the columns in chunks. Two neighbouring weights of one
// sign whose sum is beyond kMostPairSum are in two cells that read the same columns, each with a
// part of them; cells of zeros are left out. What a row of a cell makes of two neighbours then fits
// 16 bits, and so does the sum of that of two cells that are stored as a pair.
constexpr int kMostPairSum = 129;  // 129 * 254 fits, 130 * 254 does not
struct Cells {
  std::int32_t chunks = 0;
  const std::int32_t* chunk_cols = nullptr;  // [chunks] segments of inputs are whole chunks
  const std::int64_t* first = nullptr;       // [2 * panels + 1] a half panel's first cell
  const std::int32_t* counts = nullptr;      // [2 * panels][chunks][2] pairs of cells, single cells
  const std::uint16_t* columns = nullptr;    // per cell: the first, from the chunk's
  const std::int8_t* weights = nullptr;      // per cell: [8][4]
};

template <typename T>
struct Dense {
  std::int32_t panels = 0;
  std::int32_t cols = 0;  // padded as above
  const T* weights = nullptr;
  const std::int32_t* row_sums = nullptr;  // int8: sum of a row's weights, [panels * 16]
  Cells cells = {};                        // int8 convolutions, where the table has `cells`
};

// Blocks of 8 rows x 4 cols; two groups of 8 rows form a pair that is walked together: a block pair
// is [16 rows][4 cols] (Bf16: [8 rows][4 cols][2 halves]), rows 0..7 of the pair's first
// group, 8..15 of its second.
template <typename T>
struct Sparse8x4 {
  std::int32_t pairs = 0;
  const std::int32_t* rows = nullptr;    // [pairs][2] first output row of each group
  const std::int32_t* counts = nullptr;  // [pairs] block pairs
  const std::uint32_t* offsets =
      nullptr;  // per block pair: first col of each half, low | high << 16
  const T* weights = nullptr;
  const std::int32_t* row_sums = nullptr;  // int8: sum of a row's weights, by output row
};

// Columns of 16 rows: a column is 16 weights and one input offset.
struct Sparse16x1 {
  std::int32_t groups = 0;
  const std::int32_t* counts = nullptr;    // [groups] columns
  const std::uint16_t* offsets = nullptr;  // per column
  const float* weights = nullptr;          // [column][16]
};

// The element-wise half of a "reset after" GRU step, gates in the order r, z, n. Every [3 * stride]
// array holds gate g of unit i at g * stride + i; stride is a multiple of 16, padding lanes are
// zero.
struct GruGates {
  std::int32_t stride = 0;
  const float* input =
      nullptr;  // [3 * stride] what does not change per step, with both biases of r and z
  const void* rows[3] = {};  // three table rows added to it, [3 * stride] each (row variants only)
  float row_scale = 1.0f;    // int16 rows: real value = q * row_scale
  const void* recurrent = nullptr;   // [3 * stride] U h: float, or int32 sums
  const float* scale = nullptr;      // int32 only: [3 * stride] real value of one unit of the sums
  const float* diag = nullptr;       // [3 * stride] or nullptr
  const float* bias_n = nullptr;     // [stride] recurrent bias of n
  float* state = nullptr;            // [stride] h, updated
  std::uint8_t* state_u8 = nullptr;  // [stride] round(127 h) + 127, written by the int32 variants
};

// 15 nodes of a binary tree, each a dual fully-connected unit; node k of level l is lane 2^l + k.
// weights [inputs][2][16], then bias [2][16], then factor [2][16]; lane 0 is unused.
struct DualFcTree {
  std::int32_t inputs = 0;
  const float* weights = nullptr;
};

}  // namespace pyvoc::kernels
#endif  // PYVOC_KERNELS_VIEWS_H_
