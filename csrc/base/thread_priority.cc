#include "base/thread_priority.h"

#include <system_error>
#include <thread>

#include "base/parts.h"

#if defined(_WIN32)
#include <windows.h>
#else
#include <pthread.h>
#include <sched.h>
#include <time.h>
#endif

namespace pyvoc {

#if defined(_WIN32)

bool raise_priority() noexcept {
  return SetThreadPriority(GetCurrentThread(), THREAD_PRIORITY_TIME_CRITICAL) != 0;
}

double thread_cpu_seconds() noexcept {
  FILETIME created, exited, kernel, user;
  if (!GetThreadTimes(GetCurrentThread(), &created, &exited, &kernel, &user)) return 0.0;
  const auto ticks = [](const FILETIME& t) {
    return static_cast<double>(t.dwHighDateTime) * 4294967296.0 + t.dwLowDateTime;
  };
  return 1e-7 * (ticks(kernel) + ticks(user));
}

#else

bool raise_priority() noexcept {
  sched_param parameter{};
  parameter.sched_priority = sched_get_priority_min(SCHED_RR) + 4;
  return pthread_setschedparam(pthread_self(), SCHED_RR, &parameter) == 0;
}

double thread_cpu_seconds() noexcept {
  timespec now{};
  if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) != 0) return 0.0;
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

#endif

bool may_raise_priority() noexcept {
  bool permitted = false;
#if PYVOC_HAS_EXCEPTIONS
  try {
    std::thread([&] { permitted = raise_priority(); }).join();
  } catch (const std::system_error&) {
  }
#else
  std::thread([&] { permitted = raise_priority(); }).join();
#endif
  return permitted;
}

}  // namespace pyvoc
