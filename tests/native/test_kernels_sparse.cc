// Block-sparse products: odd and even block counts, empty rows of blocks, groups of output rows in
// any order, input columns at both ends.
#include <algorithm>

#include "kernel_checks.h"

namespace pyvoc::kernels::testing {
namespace {

constexpr int kBlockCounts[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 19};

// A random matrix of `pairs` pairs of row groups over `cols` inputs, as a Sparse8x4 holds it.
template <typename T>
struct Sparse {
  Sparse(int pair_count, int col_count, Random& random)
      : pairs(pair_count), cols(col_count), rows(std::size_t(2) * pairs), counts(pairs) {
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<std::int32_t>(8 * i);
    for (std::size_t i = rows.size(); i-- > 1;) {
      std::swap(rows[i], rows[random.integer(0, static_cast<int>(i))]);
    }
    int blocks = 0;
    for (int p = 0; p < pairs; ++p) {
      counts[p] = kBlockCounts[(p + random.integer(0, 9)) % 10];
      blocks += counts[p];
    }
    offsets = Buffer<std::uint32_t>(blocks);
    weights = Buffer<T>(std::size_t(64) * blocks);
    const int last = cols / 4 - 1;
    for (int b = 0; b < blocks; ++b) {
      const int low = b % 3 == 0 ? last : random.integer(0, last);
      const int high = b % 3 == 1 ? last : random.integer(0, last);
      offsets[b] = std::uint32_t(4 * low) | std::uint32_t(4 * high) << 16;
    }
  }

  Sparse8x4<T> view() const {
    Sparse8x4<T> v;
    v.pairs = pairs;
    v.rows = rows.data();
    v.counts = counts.data();
    v.offsets = offsets.data();
    v.weights = weights.data();
    v.row_sums = row_sums.size() > 0 ? row_sums.data() : nullptr;
    return v;
  }

  // Calls visit(output row, input column, weight) for every stored weight.
  template <typename Visit>
  void for_each(Visit visit) const {
    std::size_t block = 0;
    for (int p = 0; p < pairs; ++p) {
      for (int i = 0; i < counts[p]; ++i, ++block) {
        for (int row = 0; row < 16; ++row) {
          const std::uint32_t first = row < 8 ? offsets[block] & 0xffffu : offsets[block] >> 16;
          for (int k = 0; k < 4; ++k) {
            const int place = sizeof(T) == 2 ? 2 * (4 * (row % 8) + k) + row / 8 : 4 * row + k;
            const std::size_t at = 64 * block + std::size_t(place);
            visit(rows[std::size_t(2 * p + row / 8)] + row % 8, static_cast<int>(first) + k,
                  weights[at]);
          }
        }
      }
    }
  }

  int pairs, cols;
  Buffer<std::int32_t> rows, counts;
  Buffer<std::uint32_t> offsets{0};
  Buffer<T> weights{0};
  Buffer<std::int32_t> row_sums{0};
};

template <typename T>
void check_sparse_float(void (*run)(const Sparse8x4<T>&, const float*, float*) noexcept) {
  Random random(3);
  for (const int pairs : {1, 2, 3, 10, 24}) {
    for (const int cols : {4, 8, 36, 384}) {
      const std::size_t shift = std::size_t(random.integer(0, 3));
      Sparse<T> matrix(pairs, cols, random);
      for (std::size_t i = 0; i < matrix.weights.size(); ++i) {
        matrix.weights[i] = random_weight<T>(random);
      }
      Buffer<float> x(cols, shift);
      random.fill(x, -1.0f, 1.0f);
      Fenced<float> y(std::size_t(16) * pairs, shift);
      run(matrix.view(), x.data(), y.data());

      y.expect_fences_intact();
      std::vector<Sum> expected(std::size_t(16) * pairs);
      matrix.for_each([&](int row, int col, T w) { expected[row].add(widen(w) * x[col]); });
      for (std::size_t row = 0; row < expected.size(); ++row) {
        ASSERT_NEAR(y[row], expected[row].value, expected[row].bound())
            << "row " << row << ", pairs " << pairs << ", cols " << cols;
      }
    }
  }
}

Sparse<std::int8_t> random_int8(int pairs, int cols, Random& random) {
  Sparse<std::int8_t> matrix(pairs, cols, random);
  for (std::size_t i = 0; i < matrix.weights.size(); i += 2) {
    random_weight_pair(random, &matrix.weights[i], &matrix.weights[i + 1]);
  }
  matrix.row_sums = Buffer<std::int32_t>(std::size_t(16) * pairs);
  matrix.for_each([&](int row, int, std::int8_t w) { matrix.row_sums[row] += w; });
  return matrix;
}

// `streams` inputs through one matrix: `run` fills outputs[s] from inputs[s].
template <typename Run>
void check_sparse_int8(int streams, Run run) {
  Random random(4);
  for (const int pairs : {1, 2, 3, 10, 24}) {
    for (const int cols : {4, 8, 36, 384}) {
      const Sparse<std::int8_t> matrix = random_int8(pairs, cols, random);
      std::vector<Buffer<std::uint8_t>> u;
      std::vector<Fenced<std::int32_t>> y;
      std::vector<const std::uint8_t*> inputs;
      std::vector<std::int32_t*> outputs;
      for (int s = 0; s < streams; ++s) {
        const std::size_t shift = std::size_t(random.integer(0, 5));
        u.emplace_back(cols, shift);
        for (int c = 0; c < cols; ++c) u[s][c] = random_activation(random);
        y.emplace_back(std::size_t(16) * pairs, shift);
        inputs.push_back(u[s].data());
        outputs.push_back(y[s].data());
      }
      run(matrix.view(), inputs.data(), outputs.data());
      for (int s = 0; s < streams; ++s) {
        y[s].expect_fences_intact();
        std::vector<std::int64_t> expected(std::size_t(16) * pairs);
        matrix.for_each([&](int row, int col, std::int8_t w) { expected[row] += w * u[s][col]; });
        for (std::size_t row = 0; row < expected.size(); ++row) {
          ASSERT_EQ(y[s][row], expected[row])
              << "stream " << s << ", row " << row << ", pairs " << pairs << ", cols " << cols;
        }
      }
    }
  }
}

}  // namespace

void check_sparse8x4_f32(const KernelTable& table) {
  check_sparse_float<float>(table.sparse8x4_f32);
}
void check_sparse8x4_bf16(const KernelTable& table) {
  check_sparse_float<Bf16>(table.sparse8x4_bf16);
}

void check_sparse8x4_i8(const KernelTable& table) {
  check_sparse_int8(1, [&](const Sparse8x4<std::int8_t>& w, const std::uint8_t* const* u,
                           std::int32_t* const* y) { table.sparse8x4_i8(w, u[0], y[0]); });
}
void check_sparse8x4_i8_x4(const KernelTable& table) {
  check_sparse_int8(4, [&](const Sparse8x4<std::int8_t>& w, const std::uint8_t* const* u,
                           std::int32_t* const* y) { table.sparse8x4_i8_x4(w, u, y); });
}

void check_sparse16x1_f32(const KernelTable& table) {
  Random random(5);
  for (const int groups : {1, 2, 3, 10, 24}) {
    for (const int cols : {1, 5, 16, 384}) {
      Buffer<std::int32_t> counts(groups);
      std::size_t columns = 0;
      for (int g = 0; g < groups; ++g) {
        counts[g] = kBlockCounts[(g + random.integer(0, 9)) % 10];
        columns += static_cast<std::size_t>(counts[g]);
      }
      Buffer<std::uint16_t> offsets(columns);
      for (std::size_t i = 0; i < columns; ++i) {
        offsets[i] =
            static_cast<std::uint16_t>(i % 3 == 0 ? cols - 1 : random.integer(0, cols - 1));
      }
      Buffer<float> weights(16 * columns), x(cols, std::size_t(random.integer(0, 3)));
      random.fill(weights, -1.0f, 1.0f);
      random.fill(x, -1.0f, 1.0f);
      Fenced<float> y(std::size_t(16) * groups, 1);
      Sparse16x1 view;
      view.groups = groups;
      view.counts = counts.data();
      view.offsets = offsets.data();
      view.weights = weights.data();
      table.sparse16x1_f32(view, x.data(), y.data());

      y.expect_fences_intact();
      std::size_t column = 0;
      for (int g = 0; g < groups; ++g) {
        Sum expected[16];
        for (int i = 0; i < counts[g]; ++i, ++column) {
          for (int row = 0; row < 16; ++row) {
            expected[row].add(widen(weights[16 * column + row]) * x[offsets[column]]);
          }
        }
        for (int row = 0; row < 16; ++row) {
          ASSERT_NEAR(y[16 * g + row], expected[row].value, expected[row].bound())
              << "group " << g << ", row " << row << ", cols " << cols;
        }
      }
    }
  }
}

}  // namespace pyvoc::kernels::testing
