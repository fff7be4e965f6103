#include "training/block_product.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "training/parallel.h"
#include "training/workspace.h"

namespace pyvoc::training {
namespace {

constexpr int kPieces = 8;  // whose gradients are summed up apart
constexpr int kTile = 128;  // rows whose gradient is taken together
// A vector more than a tile: vectors of neighbouring units fall into different cache sets.
constexpr int kStride = kTile + 16;

std::size_t product(int a, int b) { return static_cast<std::size_t>(a) * b; }

}  // namespace

// Rows as lanes and lanes as rows, for matrices of up to so many units.
class BlockProduct::Lanes {
 public:
  Lanes(const BlockProduct& of) : table_(of.table_), lanes_(of.lanes_) {
    const int widest = std::max(of.inputs(), of.outputs());
    rows_ = Workspace(product(lanes_, widest));
  }

  // to [units][stride]: `count` rows of x [.., units], then zeros.
  void from_rows(const float* x, int count, int units, float* to, int stride) {
    if (count < lanes_) {
      const std::size_t used = product(count, units);
      std::copy(x, x + used, rows_.data());
      std::fill(rows_.data() + used, rows_.data() + product(lanes_, units), 0.0f);
      x = rows_.data();
    }
    table_.lanes_from_rows_f32(x, units, lanes_, units, to, stride);
  }
  // Rows [lanes, units] of x [units][lanes].
  const float* to_rows(const float* x, int units) {
    table_.rows_from_lanes_f32(x, lanes_, lanes_, units, rows_.data(), units);
    return rows_.data();
  }

 private:
  const kernels::KernelTable& table_;
  int lanes_;
  Workspace rows_;
};

BlockProduct::BlockProduct(const float* matrix, const std::uint8_t* mask, int outputs, int inputs,
                           const kernels::KernelTable& table)
    : matrix_(matrix, mask, outputs, inputs), table_(table), lanes_(table.lanes) {}

void BlockProduct::forward(const float* x, int rows, float* y, int threads) const {
  const int groups = (rows + lanes_ - 1) / lanes_;
  parallel(kPieces, threads, [&](int k) {
    Lanes lanes(*this);
    Workspace in(product(inputs(), lanes_)), out(product(outputs(), lanes_));
    const int end = groups * (k + 1) / kPieces;
    for (int g = groups * k / kPieces; g < end; ++g) {
      const int first = g * lanes_, count = std::min(lanes_, rows - first);
      lanes.from_rows(x + product(first, inputs()), count, inputs(), in.data(), lanes_);
      table_.lane_product_f32(matrix_.blocks(), lanes_, in.data(), lanes_, out.data());
      const float* made = lanes.to_rows(out.data(), outputs());
      float* to = y + product(first, outputs());
      for (std::size_t i = 0; i < product(count, outputs()); ++i) to[i] += made[i];
    }
  });
}

void BlockProduct::backward(const float* x, const float* d, int rows, float* d_x, float* d_matrix,
                            int threads) const {
  const int tiles = (rows + kTile - 1) / kTile;
  std::vector<Workspace> sums(kPieces);
  parallel(kPieces, threads, [&](int k) {
    Lanes lanes(*this);
    Workspace in(product(inputs(), kStride)), out(product(outputs(), kStride));
    Workspace d_in(product(inputs(), lanes_));
    Workspace& sum = sums[static_cast<std::size_t>(k)] = Workspace(matrix_.weights());
    sum.zeroed();
    const int end = tiles * (k + 1) / kPieces;
    for (int t = tiles * k / kPieces; t < end; ++t) {
      const int first = t * kTile, height = std::min(kTile, rows - first);
      if (height % 16 != 0) in.zeroed(), out.zeroed();  // whole vectors are read
      for (int at = 0; at < height; at += lanes_) {
        const int row = first + at, count = std::min(lanes_, height - at);
        lanes.from_rows(x + product(row, inputs()), count, inputs(), in.data() + at, kStride);
        lanes.from_rows(d + product(row, outputs()), count, outputs(), out.data() + at, kStride);
        d_in.zeroed();
        table_.lane_product_back_f32(matrix_.blocks(), lanes_, out.data() + at, kStride,
                                     d_in.data());
        const float* made = lanes.to_rows(d_in.data(), inputs());
        std::copy(made, made + product(count, inputs()), d_x + product(row, inputs()));
      }
      table_.lane_outer_f32(matrix_.blocks(), out.data(), kStride, in.data(), kStride,
                            (height + 15) / 16, sum.data());
    }
  });
  float* total = sums[0].data();
  for (int k = 1; k < kPieces; ++k) {
    const float* other = sums[static_cast<std::size_t>(k)].data();
    for (std::size_t i = 0; i < matrix_.weights(); ++i) total[i] += other[i];
  }
  matrix_.unpack(total, d_matrix);
}

}  // namespace pyvoc::training
