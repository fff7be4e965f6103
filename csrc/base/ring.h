// Ring: floats from one thread to another. One producer (write), one consumer (read, skip); either
// may be an audio callback: no lock, no wait, no allocation after construction. writable() and
// readable() may be asked by any thread: what they say was true a moment ago.
#ifndef PYVOC_BASE_RING_H_
#define PYVOC_BASE_RING_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <vector>

#include "base/realtime.h"
#include "base/span.h"

namespace pyvoc {

class Ring {
 public:
  explicit Ring(std::size_t capacity) {
    std::size_t size = 1;
    while (size < capacity) size *= 2;
    data_.resize(size);
    mask_ = size - 1;
  }

  std::size_t readable() const PYVOC_RT {
    const std::size_t read = read_.load(std::memory_order_acquire);  // first: it only grows
    return written_.load(std::memory_order_acquire) - read;
  }
  std::size_t writable() const PYVOC_RT {
    const std::size_t read = read_.load(std::memory_order_acquire);
    return data_.size() - (written_.load(std::memory_order_acquire) - read);
  }

  // As many of `x` as there is room for; their number.
  std::size_t write(Span<const float> x) PYVOC_RT {
    const std::size_t at = written_.load(std::memory_order_relaxed);
    const std::size_t room = data_.size() - (at - read_.load(std::memory_order_acquire));
    const std::size_t n = std::min(x.size(), room);
    const std::size_t first = std::min(n, data_.size() - (at & mask_));
    if (n > 0) {
      std::memcpy(data_.data() + (at & mask_), x.data(), sizeof(float) * first);
      std::memcpy(data_.data(), x.data() + first, sizeof(float) * (n - first));
    }
    written_.store(at + n, std::memory_order_release);
    return n;
  }

  // Up to `x.size()` floats; their number.
  std::size_t read(Span<float> x) PYVOC_RT {
    const std::size_t at = read_.load(std::memory_order_relaxed);
    const std::size_t n = std::min(x.size(), written_.load(std::memory_order_acquire) - at);
    const std::size_t first = std::min(n, data_.size() - (at & mask_));
    if (n > 0) {
      std::memcpy(x.data(), data_.data() + (at & mask_), sizeof(float) * first);
      std::memcpy(x.data() + first, data_.data(), sizeof(float) * (n - first));
    }
    read_.store(at + n, std::memory_order_release);
    return n;
  }

  // Drops up to n floats; their number.
  std::size_t skip(std::size_t n) PYVOC_RT {
    const std::size_t at = read_.load(std::memory_order_relaxed);
    n = std::min(n, written_.load(std::memory_order_acquire) - at);
    read_.store(at + n, std::memory_order_release);
    return n;
  }

 private:
  std::vector<float> data_;
  std::size_t mask_ = 0;
  alignas(64) std::atomic<std::size_t> written_{0};  // floats ever
  alignas(64) std::atomic<std::size_t> read_{0};
};

}  // namespace pyvoc
#endif  // PYVOC_BASE_RING_H_
