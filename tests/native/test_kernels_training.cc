// The training kernels: 16 or 8 rows at once, against float64; gradients against the derivative's
// formula in float64.
#include <algorithm>
#include <array>

#include "kernel_checks.h"
#include "training/recurrent_weights.h"

namespace pyvoc::kernels::testing {
namespace {

constexpr int kMostLanes = 16;

// A recurrent matrix [3 units, units] with about `kept` of 10 blocks, at its blocks' diagonals
// zero.
struct Matrix {
  Matrix(int unit_count, int kept, Random& random)
      : units(unit_count),
        dense(random_buffer(std::size_t(3) * units * units, random)),
        mask(std::size_t(3) * units * units / 32),
        weights((fill_mask(kept, random), dense.data()), mask.data(), units) {
    for (int row = 0; row < 3 * units; ++row) {
      for (int col = 0; col < units; ++col) {
        const bool used = mask[std::size_t(row / 8 * (units / 4) + col / 4)] != 0;
        if (!used || row % units == col) dense[std::size_t(row * units + col)] = 0.0f;
      }
    }
  }
  void fill_mask(int kept, Random& random) {
    for (std::size_t i = 0; i < mask.size(); ++i) {
      mask[i] = static_cast<std::uint8_t>(random.integer(0, 9) < kept);
    }
  }
  double at(int row, int col) const { return widen(dense[std::size_t(row * units + col)]); }

  int units;
  Buffer<float> dense;
  Buffer<std::uint8_t> mask;
  training::RecurrentWeights weights;
};

// check(matrix, lanes, random).
template <typename Check>
void for_matrices(std::uint32_t seed, Check check) {
  Random random(seed);
  for (int units : {16, 32, 48}) {
    for (int kept : {0, 3, 10}) {
      const Matrix m(units, kept, random);
      for (int lanes : {8, kMostLanes}) check(m, lanes, random);
    }
  }
}

void expect_close(double found, const Sum& sum, const char* what) {
  EXPECT_NEAR(found, sum.value, sum.bound()) << what;
}

constexpr int kStride = 3 * kMostLanes;  // between units, where a kernel takes a stride

}  // namespace

void check_lane_product_f32(const KernelTable& table) {
  for_matrices(1, [&](const Matrix& m, int lanes, Random& random) {
    const Buffer<float> x = random_buffer(std::size_t(m.units) * kStride, random, 3);
    Fenced<float> y(std::size_t(3 * m.units * lanes), 1);
    table.lane_product_f32(m.weights.blocks(), lanes, x.data(), kStride, y.data());
    for (int row = 0; row < 3 * m.units; ++row) {
      for (int lane = 0; lane < lanes; ++lane) {
        Sum sum;
        for (int i = 0; i < m.units; ++i) {
          sum.add(m.at(row, i) * widen(x[std::size_t(i * kStride + lane)]));
        }
        expect_close(widen(y[std::size_t(row * lanes + lane)]), sum, "W x");
      }
    }
    y.expect_fences_intact();
  });
}

void check_lane_product_back_f32(const KernelTable& table) {
  for_matrices(2, [&](const Matrix& m, int lanes, Random& random) {
    const Buffer<float> x = random_buffer(std::size_t(3) * m.units * kStride, random, 3);
    Fenced<float> y(std::size_t(m.units * lanes), 1);
    std::fill(y.data(), y.data() + m.units * lanes, 0.5f);
    table.lane_product_back_f32(m.weights.blocks(), lanes, x.data(), kStride, y.data());
    for (int col = 0; col < m.units; ++col) {
      for (int lane = 0; lane < lanes; ++lane) {
        Sum sum;
        sum.add(0.5);
        for (int row = 0; row < 3 * m.units; ++row) {
          sum.add(m.at(row, col) * widen(x[std::size_t(row * kStride + lane)]));
        }
        expect_close(widen(y[std::size_t(col * lanes + lane)]), sum, "W^T x");
      }
    }
    y.expect_fences_intact();
  });
}

void check_lane_outer_f32(const KernelTable& table) {
  for (int vectors : {1, 2, 3}) {
    for_matrices(3, [&](const Matrix& m, int, Random& random) {
      const Buffer<float> d = random_buffer(std::size_t(3) * m.units * kStride, random, 5);
      const Buffer<float> h = random_buffer(std::size_t(m.units) * kStride, random, 2);
      const LaneBlocks& blocks = m.weights.blocks();
      const std::size_t count = m.weights.weights();
      Fenced<float> gradient(count, 1);
      std::fill(gradient.data(), gradient.data() + count, -0.25f);
      table.lane_outer_f32(blocks, d.data(), kStride, h.data(), kStride, vectors, gradient.data());
      for (std::size_t k = 0; k < count; ++k) {
        const int row = blocks.first_row[k / 32] + static_cast<int>(k % 32 / 4);
        const int col = blocks.first_col[k / 32] + static_cast<int>(k % 4);
        Sum sum;
        sum.add(-0.25);
        for (int i = 0; i < vectors * kMostLanes; ++i) {
          sum.add(widen(d[std::size_t(row * kStride + i)]) *
                  widen(h[std::size_t(col * kStride + i)]));
        }
        expect_close(widen(gradient[k]), sum, "d h^T");
      }
      gradient.expect_fences_intact();
    });
  }
}

namespace {

constexpr int kRowUnits = 48;

template <typename Check>
void for_lanes(Check check) {
  Random random(10);
  const Buffer<float> x = random_buffer(std::size_t(kRowUnits) * kStride, random, 1);
  for (int lanes : {8, kMostLanes}) {
    Fenced<float> y(std::size_t(kRowUnits) * kStride, 3);
    check(x, lanes, y);
    y.expect_fences_intact();
  }
}

}  // namespace

void check_lanes_from_rows_f32(const KernelTable& table) {
  for_lanes([&](const Buffer<float>& x, int lanes, Fenced<float>& y) {
    table.lanes_from_rows_f32(x.data(), kRowUnits, lanes, kRowUnits, y.data(), kStride);
    for (int unit = 0; unit < kRowUnits; ++unit) {
      for (int lane = 0; lane < kStride; ++lane) {
        const float expected =
            lane < lanes ? x[std::size_t(lane * kRowUnits + unit)] : y.untouched();
        EXPECT_EQ(y[std::size_t(unit * kStride + lane)], expected);
      }
    }
  });
}

void check_rows_from_lanes_f32(const KernelTable& table) {
  for_lanes([&](const Buffer<float>& x, int lanes, Fenced<float>& y) {
    table.rows_from_lanes_f32(x.data(), kStride, lanes, kRowUnits, y.data(), kRowUnits);
    for (int lane = 0; lane < kStride; ++lane) {
      for (int unit = 0; unit < kRowUnits; ++unit) {
        const float expected = lane < lanes ? x[std::size_t(unit * kStride + lane)] : y.untouched();
        EXPECT_EQ(y[std::size_t(lane * kRowUnits + unit)], expected);
      }
    }
  });
}

void check_transpose_tiles_f32(const KernelTable& table) {
  Random random(6);
  constexpr int kTiles = 3;
  const Buffer<float> x = random_buffer(std::size_t(16) * 17 * kTiles, random, 1);
  Fenced<float> y(std::size_t(16) * 16 * kTiles, 2);
  table.transpose_tiles_f32(x.data(), 17 * kTiles, 17, y.data(), 16, 256, kTiles);
  for (int k = 0; k < kTiles; ++k) {
    for (int i = 0; i < 16; ++i) {
      for (int j = 0; j < 16; ++j) {
        EXPECT_EQ(y[std::size_t(256 * k + 16 * j + i)],
                  x[std::size_t(17 * kTiles * i + 17 * k + j)]);
      }
    }
  }
  y.expect_fences_intact();
}

void check_mix_rows_f32(const KernelTable& table) {
  Random random(7);
  for (int count : {0, 1, 3, 6}) {
    constexpr int kSize = 48;
    const Buffer<float> rows = random_buffer(std::size_t(6) * kSize, random, 1);
    const Buffer<float> weights = random_buffer(6, random);
    std::array<const float*, 6> from;
    for (std::size_t k = 0; k < 6; ++k) from[k] = rows.data() + (5 - k) * kSize;
    Fenced<float> y(kSize);
    table.mix_rows_f32(from.data(), weights.data(), count, y.data(), kSize);
    for (int i = 0; i < kSize; ++i) {
      Sum sum;
      for (int k = 0; k < count; ++k)
        sum.add(widen(weights[std::size_t(k)]) * widen(from[std::size_t(k)][i]));
      expect_close(widen(y[std::size_t(i)]), sum, "mixed");
    }
    y.expect_fences_intact();
  }
}

void check_spread_row_f32(const KernelTable& table) {
  Random random(8);
  for (int count : {0, 1, 3, 6}) {
    constexpr int kSize = 48;
    const Buffer<float> x = random_buffer(kSize, random, 1);
    const Buffer<float> weights = random_buffer(6, random);
    const Buffer<float> before = random_buffer(std::size_t(6) * kSize, random);
    Fenced<float> rows(std::size_t(6) * kSize, 3);
    std::copy(before.data(), before.data() + 6 * kSize, rows.data());
    std::array<float*, 6> to;
    for (std::size_t k = 0; k < 6; ++k) to[k] = rows.data() + k * kSize;
    table.spread_row_f32(x.data(), weights.data(), count, to.data(), kSize);
    for (int k = 0; k < 6; ++k) {
      for (int i = 0; i < kSize; ++i) {
        const std::size_t at = std::size_t(k * kSize + i);
        Sum sum;
        sum.add(widen(before[at]));
        if (k < count) sum.add(widen(weights[std::size_t(k)]) * widen(x[std::size_t(i)]));
        expect_close(widen(rows[at]), sum, "spread");
      }
    }
    rows.expect_fences_intact();
  }
}

}  // namespace pyvoc::kernels::testing
