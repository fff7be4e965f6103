// GlibcRand: the sequence of glibc's rand() for a seed, on any system.
//
// Additive feedback of degree 31, r[i] = r[i-3] + r[i-31] mod 2^32, output r[i] >> 1; the first 31
// words come from the Lehmer generator 16807 mod 2^31 - 1, and 310 outputs are thrown away.
// Training data made by upstream's dump_data depend on it. One thread at a time; real-time safe.
#ifndef PYVOC_DSP_GLIBC_RAND_H_
#define PYVOC_DSP_GLIBC_RAND_H_

#include <cstdint>

#include "base/realtime.h"

namespace pyvoc::dsp {

class GlibcRand {
 public:
  static constexpr std::int32_t kMax = 2147483647;

  explicit GlibcRand(std::uint32_t seed) { reset(seed); }

  void reset(std::uint32_t seed) PYVOC_RT {
    constexpr std::int64_t kModulus = 2147483647;
    // glibc seeds with a signed word: a negative one is folded back after the remainder.
    std::int64_t word = seed == 0 ? 1 : static_cast<std::int32_t>(seed);
    for (int i = 0; i < kDegree; ++i) {
      state_[i] = static_cast<std::uint32_t>(word);
      word = 16807 * word % kModulus;
      if (word < 0) word += kModulus;
    }
    oldest_ = kSeparation;  // glibc starts three words in
    for (int i = 0; i < 10 * kDegree; ++i) next();
  }

  // 0..kMax.
  std::int32_t next() PYVOC_RT {
    const int back3 =
        oldest_ >= kSeparation ? oldest_ - kSeparation : oldest_ + kDegree - kSeparation;
    const std::uint32_t word = state_[oldest_] + state_[back3];
    state_[oldest_] = word;
    if (++oldest_ == kDegree) oldest_ = 0;
    return static_cast<std::int32_t>(word >> 1);
  }

 private:
  static constexpr int kDegree = 31;
  static constexpr int kSeparation = 3;
  std::uint32_t state_[kDegree];
  int oldest_ = 0;  // the word 31 steps back
};

}  // namespace pyvoc::dsp
#endif  // PYVOC_DSP_GLIBC_RAND_H_
