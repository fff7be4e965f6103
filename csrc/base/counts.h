// Sums of samples or frames whose terms a caller gave: they stop at a number that no signal
// reaches, where unsigned sums would begin again at 0.
#ifndef PYVOC_BASE_COUNTS_H_
#define PYVOC_BASE_COUNTS_H_

#include <algorithm>
#include <cstdint>
#include <limits>

#include "base/realtime.h"

namespace pyvoc {

// Far enough below the limits of both kinds of integers that a window or hop may be added.
constexpr std::uint64_t kMostCount = std::numeric_limits<std::int64_t>::max() / 2;

constexpr std::uint64_t add_counts(std::uint64_t a, std::uint64_t b) PYVOC_RT {
  a = std::min(a, kMostCount);
  return a + std::min(b, kMostCount - a);
}

}  // namespace pyvoc
#endif  // PYVOC_BASE_COUNTS_H_
