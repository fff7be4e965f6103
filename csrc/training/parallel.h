// Independent pieces of a training step on several threads.
#ifndef PYVOC_TRAINING_PARALLEL_H_
#define PYVOC_TRAINING_PARALLEL_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <thread>
#include <vector>

namespace pyvoc::training {

// Calls work(i) for i < count on up to `threads` threads, the caller's among them; on fewer where
// no more can be started. The first exception of a piece is thrown on.
template <typename Thread = std::thread, typename Work>
void parallel(int count, int threads, const Work& work) {
  std::atomic<int> next{0};
  std::vector<std::exception_ptr> errors(static_cast<std::size_t>(std::max(count, 1)));
  const auto run = [&] {
    for (int i = next++; i < count; i = next++) {
      try {
        work(i);
      } catch (...) {
        errors[static_cast<std::size_t>(i)] = std::current_exception();
      }
    }
  };
  const int wanted = std::min(threads, count) - 1;
  std::vector<Thread> others;
  others.reserve(static_cast<std::size_t>(std::max(wanted, 0)));
  try {
    for (int k = 0; k < wanted; ++k) others.emplace_back(run);
  } catch (const std::exception&) {  // no thread, or no memory for one: those that run do all
  }
  run();
  for (Thread& thread : others) thread.join();
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace pyvoc::training
#endif  // PYVOC_TRAINING_PARALLEL_H_
