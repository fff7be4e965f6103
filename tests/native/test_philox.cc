// Philox against the known answers of its authors' library (Random123, kat_vectors), and what the
// normal numbers made of it look like.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/philox.h"

namespace pyvoc {
namespace {

TEST(Philox, KnownAnswers) {
  constexpr std::uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(philox({0, 0, 0, 0}, 0), (PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({kOnes, kOnes, kOnes, kOnes}, ~std::uint64_t{0}),
            (PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0a4093822),
            (PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, NormalNumbersHaveTheirMoments) {
  constexpr std::uint32_t kBlocks = 50000;
  double sums[5] = {}, neighbours = 0.0, most = 0.0;
  for (std::uint32_t i = 0; i < kBlocks; ++i) {
    const std::array<float, 4> normal = philox_normal({i, 0, 1, 2}, 20181031);
    for (const float x : normal) {
      double power = 1.0;
      for (double& sum : sums) sum += power, power *= static_cast<double>(x);
      most = std::max(most, std::fabs(static_cast<double>(x)));
    }
    neighbours += static_cast<double>(normal[0] * normal[1] + normal[2] * normal[3]);
  }
  const double n = sums[0];
  EXPECT_EQ(n, 4.0 * kBlocks);
  EXPECT_NEAR(sums[1] / n, 0.0, 0.01);
  EXPECT_NEAR(sums[2] / n, 1.0, 0.015);
  EXPECT_NEAR(sums[3] / n, 0.0, 0.04);
  EXPECT_NEAR(sums[4] / n, 3.0, 0.1);
  EXPECT_NEAR(neighbours / (n / 2), 0.0, 0.015);
  EXPECT_GT(most, 4.0);
  EXPECT_LE(most, 6.8);
}

}  // namespace
}  // namespace pyvoc
