// The clock of the synthesis path.
#ifndef PYVOC_BASE_CLOCK_H_
#define PYVOC_BASE_CLOCK_H_

#include <chrono>

#include "base/realtime.h"

namespace pyvoc {

using Clock = std::chrono::steady_clock;

// It is read without a system call where the system has a vDSO, and blocks nowhere.
inline Clock::time_point clock_now() PYVOC_RT { PYVOC_RT_TRUST(return Clock::now();) }

}  // namespace pyvoc
#endif  // PYVOC_BASE_CLOCK_H_
