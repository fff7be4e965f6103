// Bark-scale cepstrum and the 16th-order predictor that follows from it (Valin & Skoglund 2019).
//
// CepstralAnalysis turns a 320-sample window (s16 scale, pre-emphasised) into its spectrum and that
// into 18 cepstral coefficients; predictor() turns 18 coefficients into LPC a1..a16 with prediction
// -sum a_k x[t - k]. Immutable after construction: any number of threads; real-time safe.
#ifndef PYVOC_DSP_LPC_CEPSTRUM_H_
#define PYVOC_DSP_LPC_CEPSTRUM_H_

#include "base/realtime.h"
#include "dsp/fft320.h"

namespace pyvoc::dsp {

constexpr int kBands = 18;
constexpr int kLpcOrder = 16;
// Band centres as FFT bins (50 Hz each): 0, 200 Hz, ... 8 kHz, roughly Bark-spaced.
constexpr int kBandCentre[kBands] = {0,  4,  8,  12, 16, 20, 24,  28,  32,
                                     40, 48, 56, 64, 80, 96, 112, 136, 160};
// Power per bin from energy per band: 4 / (band width in bins), tuned at the edges.
constexpr float kBandCompensation[kBands] = {
    0.8f, 1.f,  1.f,  1.f,       1.f,   1.f,   1.f,  1.f,       0.666667f,
    0.5f, 0.5f, 0.5f, 0.333333f, 0.25f, 0.25f, 0.2f, 0.166667f, 0.173913f};
constexpr float kC0Offset = 4.0f;  // what c0 has subtracted

struct Spectrum {  // of a window, scaled by 1/320
  float re[kFftBins], im[kFftBins];
};

class CepstralAnalysis {
 public:
  CepstralAnalysis();

  // Of a frame [320], previous 160 and current 160 samples.
  void spectrum(const float* frame, Spectrum& out) const PYVOC_RT;

  // Its cepstrum [18]; c0 has 4 subtracted.
  void cepstrum(const Spectrum& spectrum, float* out) const PYVOC_RT;

  // cepstrum [18] -> lpc [16]; returns the residual energy of the recursion. The 2019 runtime left
  // the compensation of the bands' widths out (`compensate` false); features always have it.
  float predictor(const float* cepstrum, float* lpc, bool compensate = true) const PYVOC_RT;

 private:
  void band_energies(const float* power, float* energy) const PYVOC_RT;

  Fft320 fft_;
  float window_[kFftSize / 2];
  float rising_[kFftBins], falling_[kFftBins];  // weights of bin k in the bands above and below it
  float dct_[kBands][kBands];                   // [band][coefficient]
  float idct_[kBands][kBands];                  // [coefficient][band]
};

// Levinson-Durbin of order 16 on autocorrelation [17]; stops at 30 dB of gain. Returns the residual
// energy.
float levinson(const float* autocorrelation, float* lpc) PYVOC_RT;

}  // namespace pyvoc::dsp
#endif  // PYVOC_DSP_LPC_CEPSTRUM_H_
