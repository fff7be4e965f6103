#include "nn/linear.h"

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <vector>

namespace pyvoc::nn {

using backends::Op;
using backends::Weights;

int Linear::output_row(const LinearSource& source, int row) const {
  const int part = source.rows / source.gates;
  return row / part * padded(part) + row % part;
}

void Linear::pack_scales(const LinearSource& source, const std::int32_t* row_sums, Arena& arena) {
  float* scale = arena.allocate<float>(outputs_ + kVector);
  float* offset = arena.allocate<float>(outputs_ + kVector);
  for (int r = 0; r < source.rows; ++r) {
    const int out = output_row(source, r);
    scale[out] = source.scale[r] / 127.0f;
    offset[out] = -source.scale[r] * static_cast<float>(row_sums[out]);
  }
  scale_ = scale;
  offset_ = offset;
}

template <typename T>
void Linear::pack_dense(const LinearSource& source, Arena& arena, kernels::Dense<T>& view) {
  // Columns side by side in a lane.
  constexpr int kGroup = std::is_same<T, std::int8_t>::value ? 4
                         : std::is_same<T, float>::value     ? 1
                                                             : 2;
  const int cols = (source.cols + kGroup - 1) / kGroup * kGroup;
  view.panels = outputs_ / kVector;
  view.cols = cols;
  T* weights = arena.allocate<T>(static_cast<std::size_t>(outputs_) * cols);
  std::int32_t* row_sums = arena.allocate<std::int32_t>(outputs_);
  const T* data = static_cast<const T*>(source.data);
  for (int r = 0; r < source.rows; ++r) {
    const int out = output_row(source, r);
    T* panel = weights + static_cast<std::size_t>(out / kVector) * kVector * cols;
    for (int c = 0; c < source.cols; ++c) {
      const T w = data[static_cast<std::size_t>(r) * source.cols + c];
      panel[(c / kGroup * kVector + out % kVector) * kGroup + c % kGroup] = w;
      if constexpr (kGroup == 4) row_sums[out] += w;
    }
  }
  view.weights = weights;
  if constexpr (kGroup == 4) {
    view.row_sums = row_sums;
    pack_scales(source, row_sums, arena);
  }
}

template <typename T>
void Linear::pack_sparse8x4(const LinearSource& source, Arena& arena,
                            kernels::Sparse8x4<T>* views) {
  constexpr bool kInt8 = std::is_same<T, std::int8_t>::value;
  constexpr bool kBf16 = std::is_same<T, kernels::Bf16>::value;
  const int groups = source.rows / 8;
  std::vector<std::vector<int>> blocks(groups);
  for (int b = 0; b < source.n_blocks; ++b) blocks[source.block_index[2 * b]].push_back(b);
  // Groups with alike counts make pairs with little padding.
  std::vector<int> order(groups);
  for (int g = 0; g < groups; ++g) order[g] = g;
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return blocks[a].size() > blocks[b].size(); });

  const int pairs = (groups + 1) / 2;
  std::size_t total = 0;
  for (int p = 0; p < pairs; ++p) total += blocks[order[2 * p]].size();
  std::int32_t* rows = arena.allocate<std::int32_t>(2 * pairs);
  std::int32_t* counts = arena.allocate<std::int32_t>(pairs);
  std::int32_t* row_sums = arena.allocate<std::int32_t>(outputs_ + kVector);
  std::uint32_t* offsets = arena.allocate<std::uint32_t>(total);
  T* weights = arena.allocate<T>(64 * total);
  const T* data = static_cast<const T*>(source.data);
  std::size_t at = 0;
  for (int p = 0; p < pairs; ++p) {
    counts[p] = static_cast<std::int32_t>(blocks[order[2 * p]].size());
    for (int half = 0; half < 2; ++half) {
      if (2 * p + half >= groups) {  // the odd group's partner: written to the spare rows
        rows[2 * p + half] = outputs_;
        continue;
      }
      const int group = order[2 * p + half];
      const int first = output_row(source, 8 * group);
      rows[2 * p + half] = first;
      for (std::size_t k = 0; k < blocks[group].size(); ++k) {
        const int b = blocks[group][k];
        const std::uint32_t col = static_cast<std::uint32_t>(source.block_index[2 * b + 1]) * 4;
        offsets[at + k] |= col << (16 * half);
        for (int r = 0; r < 8; ++r) {
          for (int c = 0; c < 4; ++c) {
            const T w = data[32 * static_cast<std::size_t>(b) + 4 * r + c];
            const int lane = 8 * half + r;
            const int place = kBf16 ? 2 * (4 * r + c) + half : 4 * lane + c;
            weights[64 * (at + k) + place] = w;
            if constexpr (kInt8) row_sums[first + r] += w;
          }
        }
      }
    }
    at += counts[p];
  }
  views[0] = {pairs, rows, counts, offsets, weights, row_sums};
  std::size_t done = 0;
  int pair = 0;
  for (int part = 1; part <= kParts; ++part) {
    views[part] = {0,       rows + 2 * pair, counts + pair, offsets + done, weights + 64 * done,
                   row_sums};
    const std::size_t until = total * static_cast<std::size_t>(part) / kParts;
    while (pair < pairs && (done < until || part == kParts)) {
      done += static_cast<std::size_t>(counts[pair++]);
      ++views[part].pairs;
    }
  }
  if constexpr (kInt8) pack_scales(source, row_sums, arena);
}

void Linear::pack_sparse16x1(const LinearSource& source, Arena& arena) {
  // The file's groups of 16 rows may straddle the padding between gates; outputs are packed in
  // whole panels, so rows are a multiple of 16 per gate here (checked by the caller).
  const int groups = source.rows / 16;
  std::int32_t* counts = arena.allocate<std::int32_t>(groups);
  std::uint16_t* offsets = arena.allocate<std::uint16_t>(source.n_blocks);
  float* weights = arena.allocate<float>(16 * static_cast<std::size_t>(source.n_blocks));
  for (int b = 0; b < source.n_blocks; ++b) {
    ++counts[source.block_index[2 * b]];
    offsets[b] = static_cast<std::uint16_t>(source.block_index[2 * b + 1]);
  }
  std::memcpy(weights, source.data, sizeof(float) * 16 * source.n_blocks);
  sparse16x1_ = {groups, counts, offsets, weights};
}

Result<Linear> Linear::pack(const LinearSource& source, const kernels::KernelTable& kernels,
                            Arena& arena) {
  Linear linear;
  linear.kernels_ = &kernels;
  linear.layer_.op = source.block_rows == 0   ? Op::kDense
                     : source.block_rows == 8 ? Op::kSparse8x4
                                              : Op::kSparse16x1;
  linear.layer_.weights = source.type;
  linear.layer_.rows = source.rows;
  linear.layer_.cols = source.cols;
  linear.outputs_ = source.gates * padded(source.rows / source.gates);
  Result<const backends::Backend*> backend = backends::choose(linear.layer_);
  if (!backend.ok()) return backend.status();
  linear.backend_ = backend.value()->name();
  switch (linear.layer_.op) {
    case Op::kDense:
      if (source.type == Weights::kF32) linear.pack_dense(source, arena, linear.dense_f32_);
      if (source.type == Weights::kBf16) linear.pack_dense(source, arena, linear.dense_bf16_);
      if (source.type == Weights::kI8) linear.pack_dense(source, arena, linear.dense_i8_);
      break;
    case Op::kSparse8x4:
      if (source.type == Weights::kF32) linear.pack_sparse8x4(source, arena, linear.sparse_f32_);
      if (source.type == Weights::kBf16) linear.pack_sparse8x4(source, arena, linear.sparse_bf16_);
      if (source.type == Weights::kI8) linear.pack_sparse8x4(source, arena, linear.sparse_i8_);
      break;
    default:
      linear.pack_sparse16x1(source, arena);
  }
  return linear;
}

void Linear::run(const float* x, const float* init, float* y) const PYVOC_RT {
  switch (layer_.op) {
    case Op::kDense:
      if (layer_.weights == Weights::kF32) return kernels_->dense_f32(dense_f32_, x, init, y);
      return kernels_->dense_bf16(dense_bf16_, x, init, y);
    case Op::kSparse8x4:
      if (layer_.weights == Weights::kF32) return kernels_->sparse8x4_f32(sparse_f32_[0], x, y);
      return kernels_->sparse8x4_bf16(sparse_bf16_[0], x, y);
    default:
      return kernels_->sparse16x1_f32(sparse16x1_, x, y);
  }
}

void Linear::run(const std::uint8_t* u, std::int32_t* y) const PYVOC_RT {
  if (layer_.op == Op::kDense) return kernels_->dense_i8(dense_i8_, u, y);
  kernels_->sparse8x4_i8(sparse_i8_[0], u, y);
}

void Linear::run_part(int part, const float* x, float* y) const PYVOC_RT {
  if (layer_.op != Op::kSparse8x4) {
    if (part == 0) run(x, nullptr, y);
  } else if (layer_.weights == Weights::kF32) {
    kernels_->sparse8x4_f32(sparse_f32_[1 + part], x, y);
  } else {
    kernels_->sparse8x4_bf16(sparse_bf16_[1 + part], x, y);
  }
}

void Linear::run_part(int part, const std::uint8_t* u, std::int32_t* y) const PYVOC_RT {
  if (layer_.op != Op::kSparse8x4) {
    if (part == 0) run(u, y);
  } else {
    kernels_->sparse8x4_i8(sparse_i8_[1 + part], u, y);
  }
}

void Linear::run_many(const float* const* x, const float* const* init, float* const* y,
                      int n) const PYVOC_RT {
  if (layer_.op != Op::kDense || n == 1) {
    for (int i = 0; i < n; ++i) run(x[i], init == nullptr ? nullptr : init[i], y[i]);
  } else if (layer_.weights == Weights::kF32) {
    kernels_->dense_f32_many(dense_f32_, x, init, y, n);
  } else {
    kernels_->dense_bf16_many(dense_bf16_, x, init, y, n);
  }
}

void Linear::run_many(const std::uint8_t* const* u, std::int32_t* const* y, int n) const PYVOC_RT {
  if (layer_.op != Op::kDense || n == 1) {
    for (int i = 0; i < n; ++i) run(u[i], y[i]);
  } else {
    kernels_->dense_i8_many(dense_i8_, u, y, n);
  }
}

void Linear::run_x4(const std::uint8_t* const* u, std::int32_t* const* y) const PYVOC_RT {
  kernels_->sparse8x4_i8_x4(sparse_i8_[0], u, y);
}

}  // namespace pyvoc::nn
