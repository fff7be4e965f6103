// Denoiser: takes a model's hum out of its speech by spectral subtraction, samples in, samples out.
//
// The hum is given as magnitudes, the bias. Every frame of a short-time Fourier transform (periodic
// Hann window, frames centred on multiples of the hop, the signal mirrored at its two ends) loses
// strength * bias from its magnitudes, down to 0, and keeps its phases; the frames are windowed
// again, overlapped, and divided by the sum of the squared windows. As in NVIDIA's WaveGlow
// (denoiser.py), which rounds the signal down to whole hops; here n samples give n samples.
//
// Any split of the same signal gives the same samples, bit for bit: the arithmetic is double, and
// frames lie at fixed places. Nothing is allocated after construction. One thread at a time;
// real-time safe.
#ifndef PYVOC_DSP_DENOISER_H_
#define PYVOC_DSP_DENOISER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/realtime.h"
#include "base/span.h"
#include "dsp/framer.h"
#include "dsp/real_fft.h"

namespace pyvoc::dsp {

struct DenoiserSettings {
  std::size_t fft_length = 1024;  // samples, a power of two from 16 to 16384
  std::size_t hop_length = 256;   // samples, at most a quarter of fft_length
  float strength = 0.1f;          // 0 to 1: the part of the bias that is subtracted
};

// What makes settings impossible, as sentences joined by "; ", or "".
std::string denoiser_problems(const DenoiserSettings& settings);

// The magnitudes [fft_length / 2 + 1] of the first frame of a hum, which has more than
// fft_length / 2 samples. Allocates.
std::vector<float> hum_magnitudes(Span<const float> hum, std::size_t fft_length);

class Denoiser {
 public:
  // The settings have no problems; bias [fft_length / 2 + 1] is finite and not negative.
  Denoiser(const DenoiserSettings& settings, Span<const float> bias);

  const DenoiserSettings& settings() const { return settings_; }

  // The most that the output lags the input, in samples; fft_length - hop_length where the input
  // comes in whole hops of the transform.
  std::size_t latency_samples() const { return settings_.fft_length - 1; }

  // Samples that pushing n more completes or, with n = 0, that ending the signal does.
  std::size_t samples_after(std::size_t n) const PYVOC_RT;
  // out [samples_after(pcm.size())], which may not overlap the PCM; returns the samples written.
  // The PCM is finite.
  std::size_t push(Span<const float> pcm, float* out) PYVOC_RT;
  // Ends the signal; out [samples_after(0)]; returns the samples written.
  std::size_t flush(float* out) PYVOC_RT;
  // Back to the beginning.
  void reset() PYVOC_RT;

 private:
  std::uint64_t done(std::uint64_t frames) const PYVOC_RT;  // samples that they complete
  std::size_t next_frame(float* out) PYVOC_RT;              // writes what it completes
  void subtract() PYVOC_RT;                                 // from re_, im_
  void write(std::size_t first, std::size_t count, float* out) PYVOC_RT;  // of sum_

  DenoiserSettings settings_;
  RealFft fft_;
  Framer framer_;
  std::vector<double> window_, input_;  // [fft_length]
  std::vector<double> bias_, re_, im_;  // [fft_length / 2 + 1], the bias times the strength
  // Sums of the frames and of their squared windows [fft_length], from where the next one begins.
  std::vector<double> sum_, weight_;
  std::uint64_t frames_ = 0, written_ = 0;
};

}  // namespace pyvoc::dsp
#endif  // PYVOC_DSP_DENOISER_H_
