// DenormalGuard: flush-to-zero and denormals-are-zero for a scope, so that decaying states do not
// slow the synthesis loop down; the caller's mode is put back.
#ifndef PYVOC_BASE_DENORMALS_H_
#define PYVOC_BASE_DENORMALS_H_

#include <cstdint>

#if defined(__SSE__) || defined(_M_X64)
#include <xmmintrin.h>
#endif

namespace pyvoc {

class DenormalGuard {
 public:
#if defined(__SSE__) || defined(_M_X64)
  DenormalGuard() noexcept : saved_(_mm_getcsr()) { _mm_setcsr(saved_ | 0x8040u); }
  ~DenormalGuard() { _mm_setcsr(saved_); }

 private:
  unsigned saved_;
#elif defined(__aarch64__)
  DenormalGuard() noexcept {
    asm volatile("mrs %0, fpcr" : "=r"(saved_));
    asm volatile("msr fpcr, %0" : : "r"(saved_ | (std::uint64_t{1} << 24)));
  }
  ~DenormalGuard() { asm volatile("msr fpcr, %0" : : "r"(saved_)); }

 private:
  std::uint64_t saved_;
#elif defined(__arm__) && defined(__ARM_FP) && defined(__GNUC__)
  // For single numbers: vectors are flushed always.
  DenormalGuard() noexcept {
    asm volatile("vmrs %0, fpscr" : "=r"(saved_));
    asm volatile("vmsr fpscr, %0" : : "r"(saved_ | (1u << 24)));
  }
  ~DenormalGuard() { asm volatile("vmsr fpscr, %0" : : "r"(saved_)); }

 private:
  std::uint32_t saved_;
#else
  DenormalGuard() noexcept {}
  ~DenormalGuard() {}

 private:
#endif
  DenormalGuard(const DenormalGuard&) = delete;
  DenormalGuard& operator=(const DenormalGuard&) = delete;
};

}  // namespace pyvoc
#endif  // PYVOC_BASE_DENORMALS_H_
