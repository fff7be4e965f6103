// What the training kernels read and write: rows of a batch side by side, "lanes", 16 or 8 of them.
// A vector of units is [unit][lanes]; where a stride is given, unit i begins at i * stride floats.
// Views that are called rows are the other way round, [row][units].
#ifndef PYVOC_KERNELS_TRAINING_VIEWS_H_
#define PYVOC_KERNELS_TRAINING_VIEWS_H_

#include <cstdint>

namespace pyvoc::kernels {

// A matrix [rows, cols] as blocks of 8 rows x 4 cols in row order, dense when all are there.
struct LaneBlocks {
  std::int32_t row_groups = 0, col_groups = 0;
  const std::int32_t* row_begin = nullptr;  // [row_groups + 1] first block of each group of 8 rows
  const std::int32_t* first_col = nullptr;  // [blocks]
  const std::int32_t* first_row = nullptr;  // [blocks]
  const float* weights = nullptr;           // [blocks][8][4]
};

// A "reset after" GRU step of some rows, gates in the order r, z, n; arrays of gates are
// [3 * units][lanes].
struct LaneGru {
  std::int32_t units = 0, lanes = 16;
  const float* frame = nullptr;    // input terms
  const float* sample = nullptr;   // more input terms, or nullptr
  const float* product = nullptr;  // U h
  const float* bias = nullptr;     // [3 * units], recurrent
  const float* diag = nullptr;     // [3 * units] part of U that is not in the product, or nullptr
  const float* state = nullptr;    // h
  std::int32_t state_stride = 16;  // of state and next
  float* next = nullptr;           // new h
  float* kept = nullptr;           // [4 * units][lanes]: r, z, n, m_n for the backward pass
};

struct LaneGruBack {
  std::int32_t units = 0, lanes = 16;
  const float* kept = nullptr;   // by LaneGru
  const float* diag = nullptr;   // as there
  const float* state = nullptr;  // h before the step
  std::int32_t state_stride = 16;
  const float* d_out = nullptr;  // [units][lanes] gradient of the new h from outside
  float* d_state = nullptr;      // in: from the next step; out: less the part through U's blocks
  float* d_product = nullptr;    // gradient of U h; unit stride product_stride
  std::int32_t product_stride = 16;
  float* d_sample = nullptr;  // gradient of the input terms of this step
  float* d_frame = nullptr;   // the same, added to
  float* d_bias = nullptr;    // added to, [3 * units][lanes]
  float* d_diag = nullptr;    // added to, [3 * units][lanes]; with diag only
};

// The same of rows without biases; gates are [rows][3 * units], units a multiple of 16.
struct RowGru {
  std::int32_t units = 0, rows = 0;
  const float* input = nullptr;      // W x
  const float* recurrent = nullptr;  // U h
  const float* state = nullptr;      // [rows][units] h
  float* next = nullptr;             // [rows][units] new h
  float* kept = nullptr;             // [rows][4 * units]: (U h)_n, r, z, n for the backward pass
};

struct RowGruBack {
  std::int32_t units = 0, rows = 0;
  const float* state = nullptr;  // h before the step
  // In: by RowGru; out: gradients of (U h)_n, of r's and of z's sums, of (W x)_n.
  float* kept = nullptr;
  float* d_state = nullptr;  // in: of the new h; out: of h, less the part through U
};

// Negative log-likelihood of symbols under the tree of dual fully-connected nodes, with gradients.
// weight [2][256][inputs], bias and factor [2][256]; inputs is a multiple of 16. Gradients of the
// parameters are added to; d_* may all be nullptr.
struct TreeNll {
  std::int32_t count = 0, inputs = 0;
  const float* x = nullptr;              // [count, inputs]
  const std::uint8_t* symbol = nullptr;  // [count]
  const float* weights = nullptr;        // [count] factor of each sample's gradient
  const float *weight = nullptr, *bias = nullptr, *factor = nullptr;
  float* nll = nullptr;  // [count] nats
  float* d_x = nullptr;  // [count, inputs]
  float *d_weight = nullptr, *d_bias = nullptr, *d_factor = nullptr;
};

}  // namespace pyvoc::kernels
#endif  // PYVOC_KERNELS_TRAINING_VIEWS_H_
