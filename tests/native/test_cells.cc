// Cells: what they hold adds up to the panels, and nothing that a kernel makes of them leaves 16
// bits.
#include "kernel_checks.h"
#include "nn/cells.h"

namespace pyvoc::nn {
namespace {

using kernels::kMostPairSum;
using kernels::testing::Buffer;
using kernels::testing::Random;

// How many weights of one sign two inputs can meet, over neighbours `at` and those of a partner.
int reach(const std::int8_t* at, const std::int8_t* partner, int sign) {
  int sum = 0;
  for (int i = 0; i < 2; ++i) {
    sum += std::max(sign * at[i], 0);
    if (partner != nullptr) sum += std::max(sign * partner[i], 0);
  }
  return sum;
}

struct Count {
  int pairs = 0, singles = 0;
};

// Checks the cells of random weights, each of which `draw` gives.
template <typename Draw>
Count check(int panels, const std::vector<int>& chunks, const Draw& draw) {
  int cols = 0;
  for (const int n : chunks) cols += n;
  Buffer<std::int8_t> weights(std::size_t(16) * panels * cols);
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<std::int8_t>(draw());
  kernels::Dense<std::int8_t> w;
  w.panels = panels;
  w.cols = cols;
  w.weights = weights.data();
  Arena arena;
  const kernels::Cells cells = pack_cells(w, chunks, arena);

  Count found;
  EXPECT_EQ(cells.chunks, static_cast<int>(chunks.size()));
  for (int half = 0; half < 2 * panels; ++half) {
    std::vector<int> sums(std::size_t(8) * cols);
    std::int64_t cell = cells.first[half];
    int begin = 0;
    for (int chunk = 0; chunk < cells.chunks; ++chunk) {
      EXPECT_EQ(cells.chunk_cols[chunk], chunks[chunk]);
      const std::int32_t* count = cells.counts + 2 * (half * cells.chunks + chunk);
      found.pairs += count[0];
      found.singles += count[1];
      for (int k = 0; k < 2 * count[0] + count[1]; ++k, ++cell) {
        const std::int8_t* at = cells.weights + 32 * cell;
        const std::int8_t* partner = k < 2 * count[0] ? at + (k % 2 == 0 ? 32 : -32) : nullptr;
        EXPECT_LE(cells.columns[cell] + 4, chunks[chunk]);
        for (int i = 0; i < 32; ++i) {
          sums[std::size_t(i / 4) * cols + begin + cells.columns[cell] + i % 4] += at[i];
          if (i % 2 != 0) continue;
          for (const int sign : {1, -1}) {
            EXPECT_LE(reach(at + i, partner == nullptr ? nullptr : partner + i, sign),
                      kMostPairSum);
          }
        }
      }
      begin += chunks[chunk];
    }
    EXPECT_EQ(cell, cells.first[half + 1]);
    const std::int8_t* panel = weights.data() + std::ptrdiff_t{16} * cols * (half / 2);
    for (int row = 0; row < 8; ++row) {
      for (int col = 0; col < cols; ++col) {
        EXPECT_EQ(sums[std::size_t(row) * cols + col],
                  panel[64 * (col / 4) + 4 * (half % 2 * 8 + row) + col % 4])
            << "row " << row << ", column " << col;
      }
    }
  }
  return found;
}

TEST(Cells, AddUpToTheWeights) {
  Random random(1);
  const auto any = [&] { return random.integer(-127, 127); };
  check(1, {4}, any);
  check(3, {16, 48, 16}, any);
  check(2, {80, 80}, [&] { return random.integer(0, 1) == 0 ? 127 : -127; });
}

TEST(Cells, SmallWeightsArePairedWithoutARest) {
  Random random(2);
  const Count found = check(2, {64, 32}, [&] { return random.integer(-32, 32); });
  EXPECT_EQ(found.pairs, 4 * (8 + 4));
  EXPECT_EQ(found.singles, 0);
}

TEST(Cells, LargeNeighboursOfOneSignAreTwoCells) {
  const Count found = check(1, {16}, [] { return 127; });
  EXPECT_EQ(found.pairs, 0);  // of 64 and 64, 63 and 63
  EXPECT_EQ(found.singles, 2 * 2 * 4);
}

TEST(Cells, ZerosAreLeftOut) {
  const Count found = check(2, {32, 16}, [] { return 0; });
  EXPECT_EQ(found.pairs + found.singles, 0);
}

}  // namespace
}  // namespace pyvoc::nn
