// A matrix packed for matrix-vector products, dense or block-sparse, float32, bfloat16 or int8.
//
// Rows may come in `gates` equal parts (3 for a GRU); each part is padded to a multiple of 16 rows,
// so that gate g of unit i is row g * stride + i of the output. Immutable once packed; run() is
// real-time safe and may be called from any thread.
#ifndef PYVOC_NN_LINEAR_H_
#define PYVOC_NN_LINEAR_H_

#include <cstdint>

#include "backends/backend.h"
#include "base/arena.h"
#include "base/realtime.h"
#include "base/status.h"
#include "kernels/table.h"

namespace pyvoc::nn {

constexpr int kVector = 16;  // lanes that every padded array is a multiple of
constexpr int kParts = 4;

inline int padded(int n) { return (n + kVector - 1) / kVector * kVector; }

// What a model file holds. Shapes and index ranges have been checked against the file and the spec.
struct LinearSource {
  backends::Weights type = backends::Weights::kF32;
  const void* data = nullptr;  // dense [rows, cols] or blocks [n_blocks, block_rows, block_cols]
  int rows = 0, cols = 0;
  int gates = 1;
  const float* scale = nullptr;                      // int8: [rows]
  int block_rows = 0, block_cols = 0, n_blocks = 0;  // sparse only: 8 x 4, or 16 x 1 (float32)
  const std::int32_t* block_index = nullptr;         // [n_blocks, 2], sorted
};

class Linear {
 public:
  Linear() = default;

  // Packs into `arena`. Fails when no backend takes the layer.
  static Result<Linear> pack(const LinearSource& source, const kernels::KernelTable& kernels,
                             Arena& arena);

  const backends::MatVec& description() const { return layer_; }
  const char* backend() const { return backend_; }
  bool integer() const { return layer_.weights == backends::Weights::kI8; }
  int outputs() const { return outputs_; }              // padded rows
  std::int64_t bytes() const { return stored_bytes_; }  // of weights

  // y [outputs] = init + W x, float weights; init may be null.
  void run(const float* x, const float* init, float* y) const PYVOC_RT;

  // y [outputs] = W u, int8 weights; u in 0..254 stands for (u - 127) / 127.
  void run(const std::uint8_t* u, std::int32_t* y) const PYVOC_RT;

  // The same in kParts pieces, in order, so that a caller can put other work between them: what the
  // processor must wait for then overlaps the products. Dense layers are done in the first piece.
  void run_part(int part, const float* x, float* y) const PYVOC_RT;
  void run_part(int part, const std::uint8_t* u, std::int32_t* y) const PYVOC_RT;

  // Four inputs at once; sparse int8 weights only.
  void run_x4(const std::uint8_t* const* u, std::int32_t* const* y) const PYVOC_RT;

  // The rows that one of several threads does.
  struct Share {
    int piece = 0, pieces = 1;
  };

  // n <= kMost inputs at once, dense weights being read once for several of them: y[i] is, bit for
  // bit, what run gives for x[i], whatever the shares. init as in run.
  static constexpr int kMost = 16;
  void run_many(const float* const* x, const float* const* init, float* const* y, int n,
                Share share) const PYVOC_RT;
  void run_many(const std::uint8_t* const* u, std::int32_t* const* y, int n,
                Share share) const PYVOC_RT;

  // int8: the real value of one unit of y, and what to add because u stands for (u - 127): real
  // product = y * scale + offset. Both [outputs]. nullptr otherwise.
  const float* scale() const { return scale_; }
  const float* offset() const { return offset_; }

 private:
  template <typename T>
  void pack_dense(const LinearSource& source, Arena& arena, kernels::Dense<T>& view);
  template <typename T>
  void pack_sparse8x4(const LinearSource& source, Arena& arena, kernels::Sparse8x4<T>* views);
  void pack_sparse16x1(const LinearSource& source, Arena& arena);
  void pack_scales(const LinearSource& source, const std::int32_t* row_sums, Arena& arena);
  int output_row(const LinearSource& source, int row) const;
  void run_sparse(int view, const float* x, const float* init, float* y) const PYVOC_RT;

  const kernels::KernelTable* kernels_ = nullptr;
  const char* backend_ = "";
  backends::MatVec layer_;
  int outputs_ = 0;
  std::int64_t stored_bytes_ = 0;
  const float* scale_ = nullptr;
  const float* offset_ = nullptr;
  kernels::Dense<float> dense_f32_;
  kernels::Dense<kernels::Bf16> dense_bf16_;
  kernels::Dense<std::int8_t> dense_i8_;
  kernels::Sparse8x4<float> sparse_f32_[kParts + 1];  // the whole, then the parts
  kernels::Sparse8x4<kernels::Bf16> sparse_bf16_[kParts + 1];
  kernels::Sparse8x4<std::int8_t> sparse_i8_[kParts + 1];
  kernels::Sparse16x1 sparse16x1_;
};

}  // namespace pyvoc::nn
#endif  // PYVOC_NN_LINEAR_H_
