#include "backends/rates.h"

#include <cstring>

#include "kernels/resolve.h"

namespace pyvoc::backends {

Measured measured_tier() {
  const auto table = kernels::active_table();
  if (!table.ok()) return Measured::kNone;
  if (std::strncmp(table.value()->tier, "avx512", 6) == 0) return Measured::kAvx512;
  return std::strncmp(table.value()->tier, "avx", 3) == 0 ? Measured::kAvx2 : Measured::kNone;
}

}  // namespace pyvoc::backends
