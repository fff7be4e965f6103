// Arena: 64-byte aligned, zeroed memory that is booked at load or open and freed all at once.
// Every allocation is padded to whole cache lines, so a kernel may read (never write) up to the end
// of the last line. Not for the real-time path.
#ifndef PYVOC_BASE_ARENA_H_
#define PYVOC_BASE_ARENA_H_

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <vector>

#include "base/parts.h"

namespace pyvoc {

constexpr std::size_t kCacheLine = 64;

// std::bad_alloc; the end of the program where the build has no exceptions, as with operator new.
[[noreturn]] inline void out_of_memory() {
#if PYVOC_HAS_EXCEPTIONS
  throw std::bad_alloc();
#else
  std::abort();
#endif
}

class Arena {
 public:
  Arena() = default;
  Arena(Arena&&) = default;
  Arena& operator=(Arena&&) = default;

  // `count` objects of trivial type T, zeroed. Throws std::bad_alloc (caught at the API edge).
  template <typename T>
  T* allocate(std::size_t count) {
    static_assert(std::is_trivially_destructible<T>::value, "arena memory is never destroyed");
    if (count > std::numeric_limits<std::size_t>::max() / sizeof(T) / 2) out_of_memory();
    return static_cast<T*>(allocate_bytes(count * sizeof(T)));
  }

  std::size_t bytes() const { return bytes_; }

 private:
  struct Free {
    void operator()(void* p) const { ::operator delete(p, std::align_val_t{kCacheLine}); }
  };
  using Block = std::unique_ptr<void, Free>;

  void* allocate_bytes(std::size_t size) {
    const std::size_t padded = (size + kCacheLine - 1) / kCacheLine * kCacheLine + kCacheLine;
    blocks_.reserve(blocks_.size() + 1);
    Block block(::operator new(padded, std::align_val_t{kCacheLine}));
    std::memset(block.get(), 0, padded);
    blocks_.push_back(std::move(block));
    bytes_ += padded;
    return blocks_.back().get();
  }

  std::vector<Block> blocks_;
  std::size_t bytes_ = 0;
};

}  // namespace pyvoc
#endif  // PYVOC_BASE_ARENA_H_
