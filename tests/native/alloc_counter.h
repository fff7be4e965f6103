// Counts what the calling thread allocates and frees while a Counting is alive: malloc and its
// family (so operator new too), wherever the call comes from.
#ifndef PYVOC_TESTS_NATIVE_ALLOC_COUNTER_H_
#define PYVOC_TESTS_NATIVE_ALLOC_COUNTER_H_

namespace pyvoc::testing {

class Counting {
 public:
  Counting() noexcept;
  ~Counting();
  Counting(const Counting&) = delete;
  Counting& operator=(const Counting&) = delete;

  // Allocations, reallocations and frees so far.
  long calls() const noexcept;
};

}  // namespace pyvoc::testing
#endif  // PYVOC_TESTS_NATIVE_ALLOC_COUNTER_H_
