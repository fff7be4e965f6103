// Packed matrices: what threads share of one adds up to the same bits, dense or sparse, with gates
// whose rows are padded, for one input and for several.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "kernels/resolve.h"
#include "nn/linear.h"

namespace pyvoc::nn {
namespace {

using backends::Weights;

struct Case {
  int rows, cols, gates;
  bool sparse;
};

// A random matrix in the terms of a file; weights are small integers, exact in every type.
struct Matrix {
  Matrix(const Case& c, Weights type, std::mt19937& random) : dense(c.rows * c.cols) {
    source.type = type;
    source.rows = c.rows;
    source.cols = c.cols;
    source.gates = c.gates;
    const auto draw = [&] { return static_cast<int>(random() % 61) - 30; };
    if (!c.sparse) {
      for (int& w : dense) w = draw();
      for (const int w : dense) push(w);
    } else {
      source.block_rows = 8;
      source.block_cols = 4;
      for (int r = 0; r < c.rows / 8; ++r) {
        for (int k = 0; k < c.cols / 4; ++k) {
          if (random() % 4 != 0 || r == 1) continue;
          index.push_back(r);
          index.push_back(k);
          for (int i = 0; i < 32; ++i) {
            const int w = draw();
            dense[(8 * r + i / 4) * c.cols + 4 * k + i % 4] = w;
            push(w);
          }
        }
      }
      source.n_blocks = static_cast<int>(index.size() / 2);
      source.block_index = index.data();
    }
    scale.assign(c.rows, 1.0f);
    source.scale = scale.data();
    source.data = type == Weights::kF32    ? static_cast<const void*>(f32.data())
                  : type == Weights::kBf16 ? static_cast<const void*>(bf16.data())
                                           : static_cast<const void*>(i8.data());
  }

  void push(int w) {
    const float value = static_cast<float>(w);
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    f32.push_back(value);
    bf16.push_back(static_cast<std::uint16_t>(bits >> 16));
    i8.push_back(static_cast<std::int8_t>(w));
  }

  LinearSource source;
  std::vector<int> dense;
  std::vector<float> f32, scale;
  std::vector<std::uint16_t> bf16;
  std::vector<std::int8_t> i8;
  std::vector<std::int32_t> index;
};

constexpr int kInputs = 7;
const Case kCases[] = {{24, 16, 3, false},  {200, 52, 1, false}, {513, 33, 1, false},
                       {384, 128, 3, true}, {72, 24, 3, true},   {8, 4, 1, true}};

template <typename X, typename Y>
struct Vectors {
  Vectors(int cols, int outputs) {
    for (int i = 0; i < kInputs; ++i) {
      x.emplace_back(static_cast<std::size_t>(padded(cols)) + kVector);
      y.emplace_back(static_cast<std::size_t>(outputs), Y{77});
      init.emplace_back(static_cast<std::size_t>(outputs));
    }
    for (int i = 0; i < kInputs; ++i) {
      inputs.push_back(x[i].data());
      results.push_back(y[i].data());
      starts.push_back(init[i].data());
    }
  }
  std::vector<std::vector<X>> x;
  std::vector<std::vector<Y>> y, init;
  std::vector<const X*> inputs;
  std::vector<Y*> results;
  std::vector<const Y*> starts;
};

// Row `row` of the file is at this place of the outputs.
int place(const Case& c, int row) {
  const int part = c.rows / c.gates;
  return row / part * padded(part) + row % part;
}

void check_floats(const Case& c, Weights type, const kernels::KernelTable& table) {
  std::mt19937 random(5);
  const Matrix matrix(c, type, random);
  Arena arena;
  const Linear linear = Linear::pack(matrix.source, table, arena).value();
  Vectors<float, float> whole(c.cols, linear.outputs());
  for (int i = 0; i < kInputs; ++i) {
    for (int k = 0; k < c.cols; ++k) whole.x[i][k] = static_cast<float>(random() % 2000) * 1e-3f;
    for (float& v : whole.init[i]) v = static_cast<float>(random() % 9);
    linear.run(whole.inputs[i], whole.starts[i], whole.results[i]);
    for (int r = 0; r < c.rows; ++r) {
      double expected = whole.init[i][place(c, r)];
      for (int k = 0; k < c.cols; ++k) {
        expected += matrix.dense[r * c.cols + k] * static_cast<double>(whole.x[i][k]);
      }
      ASSERT_NEAR(whole.y[i][place(c, r)], expected, 1e-2) << "row " << r;
    }
  }
  for (const int n : {1, 2, kInputs}) {
    for (const int pieces : {1, 2, 3, 4, 9}) {
      Vectors<float, float> parts(c.cols, linear.outputs());
      for (int p = pieces; p-- > 0;) {
        linear.run_many(whole.inputs.data(), whole.starts.data(), parts.results.data(), n,
                        {p, pieces});
      }
      for (int i = 0; i < n; ++i) ASSERT_EQ(parts.y[i], whole.y[i]) << n << ", " << pieces;
    }
  }
}

void check_integers(const Case& c, const kernels::KernelTable& table) {
  std::mt19937 random(6);
  const Matrix matrix(c, Weights::kI8, random);
  Arena arena;
  const Linear linear = Linear::pack(matrix.source, table, arena).value();
  Vectors<std::uint8_t, std::int32_t> whole(c.cols, linear.outputs());
  for (int i = 0; i < kInputs; ++i) {
    for (int k = 0; k < c.cols; ++k) whole.x[i][k] = static_cast<std::uint8_t>(random() % 255);
    linear.run(whole.inputs[i], whole.results[i]);
    for (int r = 0; r < c.rows; ++r) {
      int expected = 0;
      for (int k = 0; k < c.cols; ++k) expected += matrix.dense[r * c.cols + k] * whole.x[i][k];
      ASSERT_EQ(whole.y[i][place(c, r)], expected) << "row " << r;
    }
  }
  for (const int n : {1, 4, kInputs}) {
    for (const int pieces : {1, 2, 3, 4, 9}) {
      Vectors<std::uint8_t, std::int32_t> parts(c.cols, linear.outputs());
      for (int p = pieces; p-- > 0;) {
        linear.run_many(whole.inputs.data(), parts.results.data(), n, {p, pieces});
      }
      for (int i = 0; i < n; ++i) ASSERT_EQ(parts.y[i], whole.y[i]) << n << ", " << pieces;
    }
  }
}

TEST(Linear, SharesAreTheWholeBitForBitOnEveryTier) {
  for (const kernels::Tier& tier : kernels::tiers()) {
    if (!tier.supported) continue;
    const kernels::KernelTable& table = *kernels::table_for(tier.name).value();
    for (const Case& c : kCases) {
      SCOPED_TRACE(std::string(tier.name) + ", " + std::to_string(c.rows) + " x " +
                   std::to_string(c.cols) + (c.sparse ? " sparse" : ""));
      check_floats(c, Weights::kF32, table);
      check_floats(c, Weights::kBf16, table);
      check_integers(c, table);
    }
  }
}

}  // namespace
}  // namespace pyvoc::nn
