// RealFft: the discrete Fourier transform of n real samples, n a power of two >= 8, unscaled.
//
// The samples are taken as n / 2 complex numbers, transformed by self-sorting radix-4 passes
// (Stockham) in double precision without fused operations, and split; the same bits on every
// machine. The object owns its scratch memory: one thread at a time, real-time safe.
#ifndef PYVOC_DSP_REAL_FFT_H_
#define PYVOC_DSP_REAL_FFT_H_

#include <cstddef>
#include <vector>

#include "base/realtime.h"

namespace pyvoc::dsp {

class RealFft {
 public:
  explicit RealFft(std::size_t n);

  std::size_t size() const { return 2 * half_; }
  std::size_t bins() const { return half_ + 1; }

  // x [n] -> |X[k]|^2 [n / 2 + 1].
  void power(const double* x, double* out) PYVOC_RT;

 private:
  struct Pass {
    std::size_t radix, groups,
        stride;                  // groups = outputs of a group / radix; stride = sub-transforms
    std::vector<double> re, im;  // twiddles [radix - 1][groups]
  };

  void transform() PYVOC_RT;  // a_ -> a_

  std::size_t half_;
  std::vector<Pass> passes_;
  std::vector<double> split_re_, split_im_;  // e^(-2 pi i k / n), k = 0 .. n / 4
  std::vector<double> a_re_, a_im_, b_re_, b_im_;
};

}  // namespace pyvoc::dsp
#endif  // PYVOC_DSP_REAL_FFT_H_
