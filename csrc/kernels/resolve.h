// Which tiers exist here, and the table made of them.
#ifndef PYVOC_KERNELS_RESOLVE_H_
#define PYVOC_KERNELS_RESOLVE_H_

#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "kernels/table.h"

namespace pyvoc::kernels {

struct Tier {
  const char* name;
  const KernelTable* table;  // its own slots; nullptr where it leaves one to the next tier
  bool supported;            // by this processor, and whole with what lies below it
};

// The tiers of this build, best first; the last is "scalar", unless the build leaves it out.
const std::vector<Tier>& tiers();

// The table for `tier` and what lies below it. Unknown or unsupported: an error listing the valid
// names.
Result<const KernelTable*> table_for(const std::string& tier);

// The table of the best supported tier that rounds no inputs (KernelTable::bf16_products), or of
// the tier that the environment variable PYVOC_ISA names. Resolved once per process.
Result<const KernelTable*> active_table();

// For each slot of a resolved table that this build has: its name and the tier it came from.
std::vector<std::pair<std::string, std::string>> slot_origins(const KernelTable& table);

}  // namespace pyvoc::kernels
#endif  // PYVOC_KERNELS_RESOLVE_H_
