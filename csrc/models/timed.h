// How long groups of layers take, for benchmarks. Real-time safe; one thread at a time.
#ifndef PYVOC_MODELS_TIMED_H_
#define PYVOC_MODELS_TIMED_H_

#include <cstddef>
#include <string>

#include "base/clock.h"
#include "base/realtime.h"

namespace pyvoc::models {

struct GroupTime {
  std::string group;
  double seconds = 0.0;
};

// Adds the time of its scope to a group; without groups, nothing.
class Timed {
 public:
  Timed(GroupTime* groups, std::size_t group) PYVOC_RT
      : group_(groups == nullptr ? nullptr : groups + group) {
    if (group_ != nullptr) start_ = clock_now();
  }
  ~Timed() PYVOC_RT {
    if (group_ == nullptr) return;
    group_->seconds += std::chrono::duration<double>(clock_now() - start_).count();
  }
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;

 private:
  GroupTime* group_;
  Clock::time_point start_{};
};

}  // namespace pyvoc::models
#endif  // PYVOC_MODELS_TIMED_H_
