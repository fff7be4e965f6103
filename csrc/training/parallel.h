// Independent pieces of a training step on several threads.
#ifndef PYVOC_TRAINING_PARALLEL_H_
#define PYVOC_TRAINING_PARALLEL_H_

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>
#include <vector>

namespace pyvoc::training {

// Calls work(i) for i < count on up to `threads` threads, the caller's among them. The first
// exception of a piece is thrown on.
template <typename Work>
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
  std::vector<std::thread> others;
  for (int k = 1; k < std::min(threads, count); ++k) others.emplace_back(run);
  run();
  for (std::thread& thread : others) thread.join();
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace pyvoc::training
#endif  // PYVOC_TRAINING_PARALLEL_H_
