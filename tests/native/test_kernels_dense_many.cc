// Dense products of several inputs: for every number of inputs, around all sizes of tiles, each
// gets the very bits that it gets alone.
#include "kernel_checks.h"

namespace pyvoc::kernels::testing {
namespace {

constexpr int kMost = 17;  // inputs
constexpr int kPanelCounts[] = {1, 2, 3, 4, 5, 7, 8};
constexpr int kColumnCounts[] = {1, 2, 3, 5, 8, 13, 17, 84};
constexpr int kRowCounts[] = {1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 16, 17};

template <typename T>
using Slot = void (*)(const Dense<T>&, const float*, const float*, float*) noexcept;
template <typename T>
using ManySlot = void (*)(const Dense<T>&, const float* const*, const float* const*, float* const*,
                          std::int32_t) noexcept;

template <typename T>
void check_many(Slot<T> alone, ManySlot<T> many) {
  Random random(41);
  for (const int panels : kPanelCounts) {
    for (const int count : kColumnCounts) {
      const int cols = std::is_same_v<T, Bf16> ? 2 * count : count, rows = 16 * panels;
      Buffer<T> weights(std::size_t(rows) * cols);
      for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = random_weight<T>(random);
      Dense<T> view;
      view.panels = panels;
      view.cols = cols;
      view.weights = weights.data();
      std::vector<Buffer<float>> x, init, expected;
      const float *xs[kMost], *inits[kMost];
      for (int i = 0; i < kMost; ++i) {
        x.push_back(random_buffer(cols, random, i % 3));
        init.push_back(random_buffer(rows, random, i % 3));
        expected.emplace_back(rows);
        xs[i] = x[i].data(), inits[i] = init[i].data();
      }
      for (const bool with_init : {true, false}) {
        for (int i = 0; i < kMost; ++i) {
          alone(view, xs[i], with_init ? inits[i] : nullptr, expected[i].data());
        }
        for (const int n : kRowCounts) {
          std::vector<Fenced<float>> y;
          float* ys[kMost];
          for (int i = 0; i < n; ++i) y.emplace_back(rows, i % 3);
          for (int i = 0; i < n; ++i) ys[i] = y[i].data();
          many(view, xs, with_init ? inits : nullptr, ys, n);
          for (int i = 0; i < n; ++i) {
            y[i].expect_fences_intact();
            ASSERT_EQ(std::memcmp(ys[i], expected[i].data(), sizeof(float) * rows), 0)
                << "input " << i << " of " << n << ", " << rows << " x " << cols;
          }
        }
      }
    }
  }
}

}  // namespace

void check_dense_f32_many(const KernelTable& table) {
  check_many<float>(table.dense_f32, table.dense_f32_many);
}
void check_dense_bf16_many(const KernelTable& table) {
  check_many<Bf16>(table.dense_bf16, table.dense_bf16_many);
}

void check_dense_i8_many(const KernelTable& table) {
  Random random(42);
  for (const int panels : kPanelCounts) {
    for (const int quads : kColumnCounts) {
      const int rows = 16 * panels, cols = 4 * quads;
      Buffer<std::int8_t> weights(std::size_t(rows) * cols);
      for (std::size_t i = 0; i < weights.size(); i += 2) {
        random_weight_pair(random, &weights[i], &weights[i + 1]);
      }
      Buffer<std::int32_t> row_sums(rows);
      for (std::size_t i = 0; i < weights.size(); ++i) {
        row_sums[i / 64 / quads * 16 + i / 4 % 16] += weights[i];
      }
      Dense<std::int8_t> view;
      view.panels = panels;
      view.cols = cols;
      view.weights = weights.data();
      view.row_sums = row_sums.data();
      std::vector<Buffer<std::uint8_t>> u;
      std::vector<Buffer<std::int32_t>> expected;
      const std::uint8_t* us[kMost];
      for (int i = 0; i < kMost; ++i) {
        u.emplace_back(cols, i % 4);
        expected.emplace_back(rows);
        for (int c = 0; c < cols; ++c) u[i][c] = random_activation(random);
        us[i] = u[i].data();
        table.dense_i8(view, us[i], expected[i].data());
      }
      for (const int n : kRowCounts) {
        std::vector<Fenced<std::int32_t>> y;
        std::int32_t* ys[kMost];
        for (int i = 0; i < n; ++i) y.emplace_back(rows, i % 3);
        for (int i = 0; i < n; ++i) ys[i] = y[i].data();
        table.dense_i8_many(view, us, ys, n);
        for (int i = 0; i < n; ++i) {
          y[i].expect_fences_intact();
          ASSERT_EQ(std::memcmp(ys[i], expected[i].data(), sizeof(std::int32_t) * rows), 0)
              << "input " << i << " of " << n << ", " << rows << " x " << cols;
        }
      }
    }
  }
}

}  // namespace pyvoc::kernels::testing
