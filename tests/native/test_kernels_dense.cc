// Dense products: panel counts around the width of the panel loop, column counts around every
// tier's column phases.
#include "kernel_checks.h"

namespace pyvoc::kernels::testing {
namespace {

constexpr int kPanelCounts[] = {1, 2, 3, 4, 5, 7, 8, 9};
constexpr int kColumnCounts[] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  11,
                                 12, 13, 15, 16, 17, 31, 33, 84, 130};

template <typename T>
using DenseSlot = void (*)(const Dense<T>&, const float*, const float*, float*) noexcept;

// Where the weight of a row and a column lies: columns one by one, or in pairs for Bf16.
template <typename T>
std::size_t weight_index(int row, int col, int cols) {
  constexpr int kGroup = std::is_same_v<T, Bf16> ? 2 : 1;
  const std::size_t group = std::size_t(row / 16) * (cols / kGroup) + col / kGroup;
  return (group * 16 + row % 16) * kGroup + col % kGroup;
}

template <typename T>
void check_dense(DenseSlot<T> run, int panels, int cols, std::size_t shift, bool with_init,
                 Random& random) {
  const int rows = 16 * panels;
  Buffer<T> weights(std::size_t(rows) * cols);
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = random_weight<T>(random);
  Buffer<float> x(cols, shift), init(rows, shift);
  random.fill(x, -2.0f, 2.0f);
  random.fill(init, -3.0f, 3.0f);
  Fenced<float> y(rows, shift);

  Dense<T> view;
  view.panels = panels;
  view.cols = cols;
  view.weights = weights.data();
  run(view, x.data(), with_init ? init.data() : nullptr, y.data());

  y.expect_fences_intact();
  for (int row = 0; row < rows; ++row) {
    Sum sum;
    if (with_init) sum.add(init[row]);
    for (int c = 0; c < cols; ++c) {
      sum.add(widen(weights[weight_index<T>(row, c, cols)]) * x[c]);
    }
    ASSERT_NEAR(y[row], sum.value, sum.bound())
        << "row " << row << " of " << rows << ", cols " << cols << ", init " << with_init;
  }
}

template <typename T>
void check_dense_sizes(DenseSlot<T> run) {
  Random random(1);
  for (const int panels : kPanelCounts) {
    for (const int count : kColumnCounts) {
      const int cols = std::is_same_v<T, Bf16> ? 2 * count : count;  // Bf16 columns come in pairs
      for (const std::size_t shift : {0, 1, 3}) {
        check_dense<T>(run, panels, cols, shift, (count + panels) % 2 == 0, random);
        if (::testing::Test::HasFatalFailure()) return;
      }
    }
  }
}

}  // namespace

void check_dense_f32(const KernelTable& table) { check_dense_sizes<float>(table.dense_f32); }
void check_dense_bf16(const KernelTable& table) { check_dense_sizes<Bf16>(table.dense_bf16); }

void check_dense_i8(const KernelTable& table) {
  Random random(2);
  for (const int panels : kPanelCounts) {
    for (const int quads : kColumnCounts) {
      const int rows = 16 * panels, cols = 4 * quads;
      const std::size_t shift = std::size_t(quads % 4);
      Buffer<std::int8_t> weights(std::size_t(rows) * cols);
      for (std::size_t i = 0; i < weights.size(); i += 2) {
        random_weight_pair(random, &weights[i], &weights[i + 1]);
      }
      Buffer<std::uint8_t> u(cols, shift);
      for (std::size_t i = 0; i < u.size(); ++i) u[i] = random_activation(random);
      Buffer<std::int32_t> row_sums(rows);
      std::vector<std::int64_t> expected(rows);
      for (int row = 0; row < rows; ++row) {
        for (int c = 0; c < cols; ++c) {
          const std::size_t at = ((std::size_t(row / 16) * quads + c / 4) * 16 + row % 16) * 4;
          const int q = weights[at + c % 4];
          row_sums[row] += q;
          expected[row] += q * u[c];
        }
      }
      Fenced<std::int32_t> y(rows, shift);
      Dense<std::int8_t> view;
      view.panels = panels;
      view.cols = cols;
      view.weights = weights.data();
      view.row_sums = row_sums.data();
      table.dense_i8(view, u.data(), y.data());

      y.expect_fences_intact();
      for (int row = 0; row < rows; ++row) {
        ASSERT_EQ(y[row], expected[row]) << "row " << row << " of " << rows << ", cols " << cols;
      }
    }
  }
}

}  // namespace pyvoc::kernels::testing
