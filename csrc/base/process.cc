#include "base/process.h"

#include <atomic>
#include <new>

#ifndef _WIN32
#include <pthread.h>
#endif

namespace pyvoc {
namespace {

std::atomic<std::uint32_t> generation{0};

#ifndef _WIN32
// Without memory for the handler, a fork goes unnoticed, as it would without this.
[[maybe_unused]] const int registered = pthread_atfork(nullptr, nullptr, [] { ++generation; });
#endif

}  // namespace

std::uint32_t process_generation() PYVOC_RT { return generation.load(std::memory_order_relaxed); }

void join_or_drop(std::thread& thread, std::uint32_t started) {
  if (!thread.joinable()) return;
  if (started == process_generation()) {
    thread.join();
  } else {
    new (&thread) std::thread();
  }
}

}  // namespace pyvoc
