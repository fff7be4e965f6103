// Which tiers there are, what a table is made of, and what is refused.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "kernels/resolve.h"

namespace pyvoc::kernels {
namespace {

constexpr int kSlotCount = 0
#define PYVOC_COUNT(name, args) +1
    PYVOC_KERNEL_SLOTS(PYVOC_COUNT)
#undef PYVOC_COUNT
    ;

std::string best_tier() {
  for (const Tier& tier : tiers()) {
    if (tier.supported && !tier.table->bf16_products) return tier.name;
  }
  return "";
}

TEST(Resolve, ScalarIsLastSupportedAndFull) {
  ASSERT_FALSE(tiers().empty());
  EXPECT_STREQ(tiers().back().name, "scalar");
  EXPECT_TRUE(tiers().back().supported);
  const KernelTable& scalar = *tiers().back().table;
#define PYVOC_PRESENT(name, args) EXPECT_NE(scalar.name, nullptr) << #name;
  PYVOC_KERNEL_SLOTS(PYVOC_PRESENT)
#undef PYVOC_PRESENT
}

TEST(Resolve, TierTablesAreNamedAfterTheirTier) {
  for (const Tier& tier : tiers()) EXPECT_STREQ(tier.table->tier, tier.name);
}

TEST(Resolve, EveryTableIsFullAndNamed) {
  for (const Tier& tier : tiers()) {
    if (!tier.supported) continue;
    const Result<const KernelTable*> table = table_for(tier.name);
    ASSERT_TRUE(table.ok()) << table.status().message();
    EXPECT_STREQ(table.value()->tier, tier.name);
#define PYVOC_PRESENT(name, args) EXPECT_NE(table.value()->name, nullptr) << #name;
    PYVOC_KERNEL_SLOTS(PYVOC_PRESENT)
#undef PYVOC_PRESENT
  }
}

TEST(Resolve, SlotsComeFromTheFirstTierAtOrBelowThatHasThem) {
  for (std::size_t first = 0; first < tiers().size(); ++first) {
    if (!tiers()[first].supported) continue;
    SCOPED_TRACE(tiers()[first].name);
    const auto origins = slot_origins(*table_for(tiers()[first].name).value());
    ASSERT_EQ(origins.size(), std::size_t{kSlotCount});
    std::size_t slot = 0;
#define PYVOC_EXPECT_ORIGIN(name_, args)                                        \
  {                                                                             \
    std::string expected;                                                       \
    for (std::size_t i = first; i < tiers().size() && expected.empty(); ++i) {  \
      const Tier& tier = tiers()[i];                                            \
      if (tier.supported && tier.table->name_ != nullptr) expected = tier.name; \
    }                                                                           \
    EXPECT_EQ(origins[slot].first, #name_);                                     \
    EXPECT_EQ(origins[slot].second, expected) << #name_;                        \
    ++slot;                                                                     \
  }
    PYVOC_KERNEL_SLOTS(PYVOC_EXPECT_ORIGIN)
#undef PYVOC_EXPECT_ORIGIN
  }
}

TEST(Resolve, WhatWeightsByteConvolutionsReadIsTheirTiersAffair) {
  for (const Tier& tier : tiers()) {
    if (!tier.supported) continue;
    const KernelTable& table = *table_for(tier.name).value();
    for (const Tier& origin : tiers()) {
      if (origin.table->conv_i8 != table.conv_i8) continue;
      EXPECT_EQ(origin.table->gated_conv_i8, table.gated_conv_i8) << tier.name;
      EXPECT_EQ(origin.table->cells, table.cells) << tier.name;
    }
  }
}

TEST(Resolve, UnknownTierIsRefusedWithTheValidNames) {
  for (const char* name : {"sse9", "", "AVX2", "scalar "}) {
    const Result<const KernelTable*> table = table_for(name);
    ASSERT_FALSE(table.ok()) << name;
    EXPECT_EQ(table.status().code(), Code::kUnsupported);
    const std::string& message = table.status().message();
    EXPECT_NE(message.find("\"" + std::string(name) + "\""), std::string::npos) << message;
    for (const Tier& tier : tiers()) {
      if (tier.supported) {
        EXPECT_NE(message.find(tier.name), std::string::npos) << message;
      }
    }
  }
}

TEST(Resolve, UnsupportedTierIsRefused) {
  int refused = 0;
  for (const Tier& tier : tiers()) {
    if (tier.supported) continue;
    ++refused;
    EXPECT_FALSE(table_for(tier.name).ok()) << tier.name;
  }
  if (refused == 0) GTEST_SKIP() << "this processor has every tier of this build";
}

// The emulator runs set PYVOC_EXPECT_TIER to what dispatch must pick on the processor they emulate.
TEST(Resolve, ActiveTableIsTheForcedOrTheBestTier) {
  const char* forced = std::getenv("PYVOC_ISA");
  const char* expected = std::getenv("PYVOC_EXPECT_TIER");
  const Result<const KernelTable*> active = active_table();
  ASSERT_TRUE(active.ok()) << active.status().message();
  EXPECT_EQ(active.value()->tier,
            forced != nullptr && *forced != '\0' ? std::string(forced) : best_tier());
  if (expected != nullptr && *expected != '\0') {
    EXPECT_STREQ(active.value()->tier, expected);
  }
}

}  // namespace
}  // namespace pyvoc::kernels
