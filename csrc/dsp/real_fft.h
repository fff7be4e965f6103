// RealFft: the discrete Fourier transform of n real samples, n a power of two >= 8, unscaled, and
// its inverse.
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

  // x [n] -> X[k], k = 0 .. n / 2, as re, im [n / 2 + 1].
  void forward(const double* x, double* re, double* im) PYVOC_RT;

  // The samples x [n] of which forward gives re, im; im[0] and im[n / 2] count as 0.
  void inverse(const double* re, const double* im, double* x) PYVOC_RT;

 private:
  struct Pass {
    std::size_t radix, groups,
        stride;                  // groups = outputs of a group / radix; stride = sub-transforms
    std::vector<double> re, im;  // twiddles [radix - 1][groups]
  };

  void transform() PYVOC_RT;  // a_ -> a_
  // Calls emit(k, Re X[k], Im X[k]) for every bin, in pairs k, n / 2 - k.
  template <typename Emit>
  void transform_real(const double* x, Emit emit) PYVOC_RT;

  std::size_t half_;
  std::vector<Pass> passes_;
  std::vector<double> split_re_, split_im_;  // e^(-2 pi i k / n), k = 0 .. n / 4
  std::vector<double> a_re_, a_im_, b_re_, b_im_;
};

}  // namespace pyvoc::dsp
#endif  // PYVOC_DSP_REAL_FFT_H_
