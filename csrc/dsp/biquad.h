// Second-order filter of speech preparation, with the rounding that upstream's has.
//
// y[t] = x[t] + b0 x[t-1] + b1 x[t-2] - a0 y[t-1] - a1 y[t-2]: the leading coefficients are 1.
// Total and real-time safe; `memory` is the caller's and starts at zero.
#ifndef PYVOC_DSP_BIQUAD_H_
#define PYVOC_DSP_BIQUAD_H_

#include <cstddef>

#include "base/realtime.h"

namespace pyvoc::dsp {

// High-pass at about 10 Hz.
constexpr float kHighPassB[2] = {-2.0f, 1.0f};
constexpr float kHighPassA[2] = {-1.99599f, 0.99600f};

// x [n] in place; memory [2].
inline void biquad(float* x, std::size_t n, float* memory, const float* b,
                   const float* a) PYVOC_RT {
  float m0 = memory[0];
  float m1 = memory[1];
  for (std::size_t i = 0; i < n; ++i) {
    const double in = x[i];
    const float out = x[i] + m0;
    const double y = out;
    m0 = static_cast<float>(m1 + (b[0] * in - a[0] * y));
    m1 = static_cast<float>(b[1] * in - a[1] * y);
    x[i] = out;
  }
  memory[0] = m0;
  memory[1] = m1;
}

}  // namespace pyvoc::dsp
#endif  // PYVOC_DSP_BIQUAD_H_
