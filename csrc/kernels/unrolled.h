// Loops over registers, written out.
#ifndef PYVOC_KERNELS_UNROLLED_H_
#define PYVOC_KERNELS_UNROLLED_H_

#if defined(__GNUC__)
#define PYVOC_ALWAYS_INLINE __attribute__((always_inline))
#else
#define PYVOC_ALWAYS_INLINE
#endif

namespace pyvoc::kernels {
namespace {

template <int kIndex>
struct Index {
  static constexpr int value = kIndex;
};

// f(Index<0>), f(Index<1>), ... f(Index<kCount - 1>), written out: arrays of accumulators that are
// indexed this way stay in registers (a loop, even of constant length, may leave them in memory).
template <int kCount, typename Function>
inline PYVOC_ALWAYS_INLINE void unrolled(const Function& f) {
  if constexpr (kCount > 0) {
    unrolled<kCount - 1>(f);
    f(Index<kCount - 1>());
  }
}

}  // namespace
}  // namespace pyvoc::kernels
#endif  // PYVOC_KERNELS_UNROLLED_H_
