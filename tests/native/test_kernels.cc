// The kernel x tier matrix: every slot of the table on every tier that this processor has. The
// checks are in test_kernels_*.cc; this file pairs them with the tiers.
#include <string>
#include <tuple>

#include "kernel_checks.h"
#include "kernels/resolve.h"

namespace pyvoc::kernels::testing {
namespace {

struct Slot {
  const char* name;
  void (*check)(const KernelTable& table);
};

const Slot kSlots[] = {
#define PYVOC_SLOT(name, args) {#name, check_##name},
    PYVOC_KERNEL_SLOTS(PYVOC_SLOT)
#undef PYVOC_SLOT
};

std::vector<std::string> supported_tiers() {
  std::vector<std::string> names;
  for (const Tier& tier : tiers()) {
    if (tier.supported) names.push_back(tier.name);
  }
  return names;
}

using Param = std::tuple<std::string, Slot>;

class Kernels : public ::testing::TestWithParam<Param> {};

TEST_P(Kernels, MatchesOracle) {
  const auto& [tier, slot] = GetParam();
  const Result<const KernelTable*> table = table_for(tier);
  ASSERT_TRUE(table.ok()) << table.status().message();
  slot.check(*table.value());
}

INSTANTIATE_TEST_SUITE_P(Tiers, Kernels,
                         ::testing::Combine(::testing::ValuesIn(supported_tiers()),
                                            ::testing::ValuesIn(kSlots)),
                         [](const ::testing::TestParamInfo<Param>& info) {
                           return std::get<0>(info.param) + "_" + std::get<1>(info.param).name;
                         });

}  // namespace
}  // namespace pyvoc::kernels::testing
