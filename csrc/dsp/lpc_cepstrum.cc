#include "dsp/lpc_cepstrum.h"

#include <algorithm>
#include <cmath>

namespace pyvoc::dsp {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr int kOverlap = kFftSize / 2;
constexpr float kLogDynamicRange = 8.0f;  // decades below the loudest band so far
constexpr float kLogFollow = 2.5f;        // decades that the floor falls per band
constexpr double kNoiseFloor = 1e-4;      // -40 dB
constexpr double kNoiseOffset = 26.0 / 38.0;
constexpr double kLagWindow = 6e-5;
constexpr float kMaxGain = 0.001f;  // 30 dB

}  // namespace

CepstralAnalysis::CepstralAnalysis() {
  for (int i = 0; i < kOverlap; ++i) {
    const double s = std::sin(0.5 * kPi * (i + 0.5) / kOverlap);
    window_[i] = static_cast<float>(std::sin(0.5 * kPi * s * s));
  }
  for (int band = 0; band + 1 < kBands; ++band) {
    const int width = kBandCentre[band + 1] - kBandCentre[band];
    for (int j = 0; j < width; ++j) {
      const float fraction = static_cast<float>(j) / static_cast<float>(width);
      rising_[kBandCentre[band] + j] = fraction;
      falling_[kBandCentre[band] + j] = 1.0f - fraction;
    }
  }
  for (int i = 0; i < kBands; ++i) {
    for (int j = 0; j < kBands; ++j) {
      float value = static_cast<float>(std::cos((i + 0.5) * j * kPi / kBands));
      if (j == 0) value = static_cast<float>(value * std::sqrt(0.5));
      dct_[i][j] = value;
      idct_[j][i] = value;
    }
  }
}

void CepstralAnalysis::band_energies(const float* power, float* energy) const PYVOC_RT {
  std::fill(energy, energy + kBands, 0.0f);
  for (int band = 0; band + 1 < kBands; ++band) {
    float low = energy[band], high = 0.0f;
    for (int k = kBandCentre[band]; k < kBandCentre[band + 1]; ++k) {
      low += falling_[k] * power[k];
      high += rising_[k] * power[k];
    }
    energy[band] = low;
    energy[band + 1] = high;
  }
  // The edge bands are half triangles.
  energy[0] *= 2.0f;
  energy[kBands - 1] *= 2.0f;
}

void CepstralAnalysis::spectrum(const float* frame, Spectrum& out) const PYVOC_RT {
  float x[kFftSize];
  for (int i = 0; i < kOverlap; ++i) {
    x[i] = frame[i] * window_[i];
    x[kFftSize - 1 - i] = frame[kFftSize - 1 - i] * window_[i];
  }
  fft_.forward(x, out.re, out.im);
}

void CepstralAnalysis::cepstrum(const Spectrum& x, float* out) const PYVOC_RT {
  float power[kFftBins];
  for (int k = 0; k < kFftBins; ++k) power[k] = x.re[k] * x.re[k] + x.im[k] * x.im[k];
  float energy[kBands];
  band_energies(power, energy);

  float loudest = -2.0f, follow = -2.0f;
  float sum[kBands] = {};
  for (int i = 0; i < kBands; ++i) {
    const float level = static_cast<float>(std::log10(1e-2 + static_cast<double>(energy[i])));
    const float clipped =
        std::max(loudest - kLogDynamicRange, std::max(follow - kLogFollow, level));
    loudest = std::max(loudest, clipped);
    follow = std::max(follow - kLogFollow, clipped);
    for (int j = 0; j < kBands; ++j) sum[j] += clipped * dct_[i][j];
  }
  const double norm = std::sqrt(2.0 / kBands);
  for (int j = 0; j < kBands; ++j) out[j] = static_cast<float>(sum[j] * norm);
  out[0] -= kC0Offset;
}

float CepstralAnalysis::predictor(const float* cepstrum, float* lpc,
                                  bool compensate) const PYVOC_RT {
  float sum[kBands] = {};
  for (int j = 0; j < kBands; ++j) {
    const float c = j == 0 ? cepstrum[0] + kC0Offset : cepstrum[j];
    for (int i = 0; i < kBands; ++i) sum[i] += c * idct_[j][i];
  }
  const double norm = std::sqrt(2.0 / kBands);
  float energy[kBands];
  for (int i = 0; i < kBands; ++i) {
    const double level = static_cast<float>(sum[i] * norm);
    const double width = compensate ? static_cast<double>(kBandCompensation[i]) : 1.0;
    energy[i] = static_cast<float>(std::pow(10.0, level) * width);
  }
  float spectrum[kFftBins];
  for (int band = 0; band + 1 < kBands; ++band) {
    for (int k = kBandCentre[band]; k < kBandCentre[band + 1]; ++k) {
      spectrum[k] = falling_[k] * energy[band] + rising_[k] * energy[band + 1];
    }
  }
  float ac[kAutocorrelation];
  fft_.autocorrelation(spectrum, ac);
  ac[0] = static_cast<float>(ac[0] + (ac[0] * kNoiseFloor + kNoiseOffset));
  for (int i = 1; i < kAutocorrelation; ++i) {
    ac[i] = static_cast<float>(ac[i] * (1.0 - kLagWindow * i * i));
  }
  return levinson(ac, lpc);
}

float levinson(const float* ac, float* lpc) PYVOC_RT {
  std::fill(lpc, lpc + kLpcOrder, 0.0f);
  float error = ac[0];
  if (error == 0.0f) return error;
  for (int i = 0; i < kLpcOrder; ++i) {
    float acc = 0.0f;
    for (int j = 0; j < i; ++j) acc += lpc[j] * ac[i - j];
    acc += ac[i + 1];
    const float reflection = -acc / error;
    lpc[i] = reflection;
    for (int j = 0; j < (i + 1) / 2; ++j) {
      const float a = lpc[j], b = lpc[i - 1 - j];
      lpc[j] = a + reflection * b;
      lpc[i - 1 - j] = b + reflection * a;
    }
    error -= reflection * reflection * error;
    if (error < kMaxGain * ac[0]) break;
  }
  return error;
}

}  // namespace pyvoc::dsp
