// One caller at a time: a second thread in the same stream or extractor is refused, not let in.
#ifndef PYVOC_API_LEASE_H_
#define PYVOC_API_LEASE_H_

#include <atomic>

#include "base/realtime.h"

namespace pyvoc::api {

class BusyFlag {
 public:
  bool enter() PYVOC_RT { return !flag_.test_and_set(std::memory_order_acquire); }
  void leave() PYVOC_RT { flag_.clear(std::memory_order_release); }

 private:
  std::atomic_flag flag_ = ATOMIC_FLAG_INIT;
};

// Enters for a scope; held() says whether that was allowed.
class Lease {
 public:
  explicit Lease(BusyFlag& flag) noexcept : flag_(flag), held_(flag.enter()) {}
  ~Lease() {
    if (held_) flag_.leave();
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  bool held() const noexcept { return held_; }

 private:
  BusyFlag& flag_;
  const bool held_;
};

}  // namespace pyvoc::api
#endif  // PYVOC_API_LEASE_H_
