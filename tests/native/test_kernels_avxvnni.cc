// The tier avxvnni where no processor has it: its kernels over a model of the instruction.
#include <gtest/gtest.h>

#include "kernel_checks.h"
#include "kernels/resolve.h"

#if defined(PYVOC_TEST_AVXVNNI_MODEL)

namespace pyvoc::kernels {
extern const KernelTable kTier_avxvnni_model;

namespace testing {
namespace {

TEST(AvxVnni, MatchesOracleOverAModelOfTheInstruction) {
  const Result<const KernelTable*> below = table_for("avx2");
  if (!below.ok()) GTEST_SKIP() << below.status().message();
  const KernelTable& own = kTier_avxvnni_model;
  ASSERT_FALSE(own.cells);
  KernelTable table = *below.value();
  table.cells = own.cells;
  int checked = 0;
#define PYVOC_TAKE(slot, args) \
  if (own.slot != nullptr) table.slot = own.slot;
  PYVOC_KERNEL_SLOTS(PYVOC_TAKE)
#undef PYVOC_TAKE
#define PYVOC_CHECK(slot, args) \
  if (own.slot != nullptr) {    \
    SCOPED_TRACE(#slot);        \
    check_##slot(table);        \
    ++checked;                  \
  }
  PYVOC_KERNEL_SLOTS(PYVOC_CHECK)
#undef PYVOC_CHECK
  EXPECT_EQ(checked, 6);
}

}  // namespace
}  // namespace testing
}  // namespace pyvoc::kernels

#endif
