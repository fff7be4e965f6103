#include "nn/linear.h"

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <vector>

#include "base/team.h"

namespace pyvoc::nn {

using backends::Op;
using backends::Weights;

namespace {

using Share = Linear::Share;

template <typename T>
kernels::Dense<T> rows_of(kernels::Dense<T> w, Share share, int* first) PYVOC_RT {
  constexpr int kGroup = kernels::kPanelGroup;
  const Team::Range groups =
      Team::Range::of((w.panels + kGroup - 1) / kGroup, share.piece, share.pieces);
  const int panel = groups.first * kGroup;
  *first = panel * kVector;
  w.panels = std::min(groups.count * kGroup, w.panels - panel);
  w.weights += static_cast<std::size_t>(panel) * kVector * static_cast<std::size_t>(w.cols);
  if (w.row_sums != nullptr) w.row_sums += panel * kVector;
  return w;
}

// Calls f(view) for the views of a share of a sparse matrix: 0 is the whole, 1 + part a part.
template <typename Function>
void each_view(Share share, const Function& f) PYVOC_RT {
  if (share.pieces == 1) return f(0);
  const Team::Range parts = Team::Range::of(kParts, share.piece, share.pieces);
  for (int part = 0; part < parts.count; ++part) f(1 + parts.first + part);
}

template <typename T>
void add_init(const kernels::Sparse8x4<T>& w, const float* init, float* y) PYVOC_RT {
  for (std::int32_t group = 0; group < 2 * w.pairs; ++group) {
    const std::int32_t first = w.rows[group];
    for (std::int32_t r = first; r < first + 8; ++r) y[r] += init[r];
  }
}

template <typename T>
void shift(T* const* from, int by, T** to, int n) PYVOC_RT {
  for (int i = 0; i < n; ++i) to[i] = from[i] + by;
}

}  // namespace

int Linear::output_row(const LinearSource& source, int row) const {
  const int part = source.rows / source.gates;
  return row / part * padded(part) + row % part;
}

void Linear::pack_scales(const LinearSource& source, const std::int32_t* row_sums, Arena& arena) {
  float* scale = arena.allocate<float>(outputs_);
  float* offset = arena.allocate<float>(outputs_);
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
  // By output rows: padding has groups too, without blocks, so products write zeros there.
  const int groups = outputs_ / 8;
  std::vector<std::vector<int>> blocks(groups);
  for (int b = 0; b < source.n_blocks; ++b) {
    blocks[output_row(source, 8 * source.block_index[2 * b]) / 8].push_back(b);
  }
  // Groups with alike counts make pairs with little padding.
  std::vector<int> order(groups);
  for (int g = 0; g < groups; ++g) order[g] = g;
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return blocks[a].size() > blocks[b].size(); });

  const int pairs = groups / 2;
  std::size_t total = 0;
  for (int p = 0; p < pairs; ++p) total += blocks[order[2 * p]].size();
  std::int32_t* rows = arena.allocate<std::int32_t>(2 * pairs);
  std::int32_t* counts = arena.allocate<std::int32_t>(pairs);
  std::int32_t* row_sums = arena.allocate<std::int32_t>(outputs_);
  std::uint32_t* offsets = arena.allocate<std::uint32_t>(total);
  T* weights = arena.allocate<T>(64 * total);
  const T* data = static_cast<const T*>(source.data);
  std::size_t at = 0;
  for (int p = 0; p < pairs; ++p) {
    counts[p] = static_cast<std::int32_t>(blocks[order[2 * p]].size());
    for (int half = 0; half < 2; ++half) {
      const int group = order[2 * p + half];
      const int first = 8 * group;
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
  const std::int64_t stored = source.block_rows == 0 ? std::int64_t{source.rows} * source.cols
                                                     : std::int64_t{source.n_blocks} *
                                                           source.block_rows * source.block_cols;
  linear.stored_bytes_ = stored * (source.type == Weights::kF32    ? 4
                                   : source.type == Weights::kBf16 ? 2
                                                                   : 1);
  Result<const backends::Backend*> backend = backends::choose(linear.layer_);
  if (!backend.ok()) return backend.status();
  linear.backend_ = backend.value()->name();
  if (linear.layer_.op == Op::kDense ? kernels.dense_f32 == nullptr
                                     : kernels.sparse8x4_f32 == nullptr) {
    return Status(Code::kUnsupported, std::string("this build has no kernels for ") +
                                          backends::op_name(linear.layer_.op) + " matrices");
  }
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

void Linear::run_sparse(int view, const float* x, const float* init, float* y) const PYVOC_RT {
  if (layer_.weights == Weights::kF32) {
    kernels_->sparse8x4_f32(sparse_f32_[view], x, y);
    if (init != nullptr) add_init(sparse_f32_[view], init, y);
  } else {
    kernels_->sparse8x4_bf16(sparse_bf16_[view], x, y);
    if (init != nullptr) add_init(sparse_bf16_[view], init, y);
  }
}

void Linear::run(const float* x, const float* init, float* y) const PYVOC_RT {
  switch (layer_.op) {
    case Op::kDense:
      if (layer_.weights == Weights::kF32) return kernels_->dense_f32(dense_f32_, x, init, y);
      return kernels_->dense_bf16(dense_bf16_, x, init, y);
    case Op::kSparse8x4:
      return run_sparse(0, x, init, y);
    default:
      kernels_->sparse16x1_f32(sparse16x1_, x, y);
      for (int r = 0; init != nullptr && r < outputs_; ++r) y[r] += init[r];
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

void Linear::run_many(const float* const* x, const float* const* init, float* const* y, int n,
                      Share share) const PYVOC_RT {
  if (layer_.op == Op::kSparse16x1) {  // never divided
    for (int i = 0; share.piece == 0 && i < n; ++i) {
      run(x[i], init == nullptr ? nullptr : init[i], y[i]);
    }
    return;
  }
  if (layer_.op == Op::kSparse8x4) {
    each_view(share, [&](int view) {
      for (int i = 0; i < n; ++i) {
        run_sparse(view, x[i], init == nullptr ? nullptr : init[i], y[i]);
      }
    });
    return;
  }
  const float* from[kMost];
  float* to[kMost];
  const auto product = [&](const auto& w, const auto& one, const auto& many) {
    int first = 0;
    const auto mine = rows_of(w, share, &first);
    if (mine.panels <= 0) return;
    shift(y, first, to, n);
    if (init != nullptr) shift(init, first, from, n);
    if (n == 1) return one(mine, x[0], init == nullptr ? nullptr : from[0], to[0]);
    many(mine, x, init == nullptr ? nullptr : from, to, n);
  };
  if (layer_.weights == Weights::kF32) {
    product(dense_f32_, kernels_->dense_f32, kernels_->dense_f32_many);
  } else {
    product(dense_bf16_, kernels_->dense_bf16, kernels_->dense_bf16_many);
  }
}

void Linear::run_many(const std::uint8_t* const* u, std::int32_t* const* y, int n,
                      Share share) const PYVOC_RT {
  if (layer_.op == Op::kSparse8x4) {
    each_view(share, [&](int view) {
      const kernels::Sparse8x4<std::int8_t>& w = sparse_i8_[view];
      int i = 0;
      for (; i + 4 <= n; i += 4) kernels_->sparse8x4_i8_x4(w, u + i, y + i);
      for (; i < n; ++i) kernels_->sparse8x4_i8(w, u[i], y[i]);
    });
    return;
  }
  std::int32_t* to[kMost];
  int first = 0;
  const kernels::Dense<std::int8_t> mine = rows_of(dense_i8_, share, &first);
  if (mine.panels <= 0) return;
  shift(y, first, to, n);
  if (n == 1) return kernels_->dense_i8(mine, u[0], to[0]);
  kernels_->dense_i8_many(mine, u, to, n);
}

void Linear::run_x4(const std::uint8_t* const* u, std::int32_t* const* y) const PYVOC_RT {
  kernels_->sparse8x4_i8_x4(sparse_i8_[0], u, y);
}

}  // namespace pyvoc::nn
