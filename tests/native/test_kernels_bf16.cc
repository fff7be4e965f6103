// Products of bfloat16 where no processor has them: the kernels over a model of the instruction.
#include <gtest/gtest.h>

#include "kernel_checks.h"
#include "kernels/resolve.h"

namespace pyvoc::kernels {
extern const KernelTable kTier_bf16_model;

namespace testing {
namespace {

TEST(Bf16Products, MatchTheOracleOverAModelOfTheInstruction) {
  ASSERT_TRUE(kTier_bf16_model.bf16_products);
  check_gated_conv_bf16(kTier_bf16_model);
}

TEST(Bf16Products, AreKnownByTheTierTheirKernelsComeFrom) {
  for (const Tier& tier : tiers()) {
    if (!tier.supported) continue;
    const KernelTable& table = *table_for(tier.name).value();
    for (const Tier& origin : tiers()) {
      if (origin.table->gated_conv_bf16 != table.gated_conv_bf16) continue;
      EXPECT_EQ(origin.table->bf16_products, table.bf16_products) << tier.name;
    }
  }
}

}  // namespace
}  // namespace testing
}  // namespace pyvoc::kernels
