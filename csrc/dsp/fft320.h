// Fft320: the discrete Fourier transform of 320 real samples, scaled by 1/320.
//
// Decimation in time, radices 4, 4, 4, 5, split real and imaginary parts. The rounding order is
// part of the contract: each butterfly is evaluated in single precision without fused operations,
// so the result is the same on every machine and equals the transform that published LPCNet
// features were made with. Immutable after construction: any number of threads; the calls are
// real-time safe.
#ifndef PYVOC_DSP_FFT320_H_
#define PYVOC_DSP_FFT320_H_

#include "base/realtime.h"

namespace pyvoc::dsp {

constexpr int kFftSize = 320;
constexpr int kFftBins = 160;  // bins 0..159; the Nyquist bin is never used by the features
constexpr int kAutocorrelation = 17;

class Fft320 {
 public:
  Fft320();

  // x [320] -> re, im [160]: X[k] / 320.
  void forward(const float* x, float* re, float* im) const PYVOC_RT;

  // Unscaled inverse of a real, even spectrum (a power spectrum): spectrum [160] holds bins 0..159,
  // bin 160 counts as 0. Writes the first 17 samples, i.e. the autocorrelation at lags 0..16.
  void autocorrelation(const float* spectrum, float* out) const PYVOC_RT;

 private:
  // A pass's factors for branch p (1..4) and position j: cos and -sin of 2 pi j p / length.
  struct Twiddle {
    float re, im;
  };
  struct Half {  // after two radix-4 passes: [20 remaining branches][16 frequencies]
    float re[20][16];
    float im[20][16];
  };
  void first_two_passes(const float* x, Half& out) const PYVOC_RT;

  Twiddle second_[4][4];   // [branch][frequency], length 16
  float third_re_[4][16];  // length 64
  float third_im_[4][16];
  float last_re_[5][64];  // length 320
  float last_im_[5][64];
  Twiddle fifth_, two_fifths_;  // exp(-2 pi i / 5), exp(-4 pi i / 5)
};

}  // namespace pyvoc::dsp
#endif  // PYVOC_DSP_FFT320_H_
