// Prints the tier that dispatch picks (exit 0), or why it refuses (exit 4): the tests of PYVOC_ISA
// need a fresh process for each value.
#include <cstdio>

#include "kernels/resolve.h"

int main() {
  const auto table = pyvoc::kernels::active_table();
  if (!table.ok()) {
    std::printf("refused: %s\n", table.status().message().c_str());
    return 4;
  }
  std::printf("tier: %s\n", table.value()->tier);
  return 0;
}
