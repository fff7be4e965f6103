// Resampler: samples at one rate in any pieces -> samples at another, whose rate may be corrected
// by parts in a thousand while it runs (two sound cards' clocks are never the same).
//
// Band-limited interpolation (Smith, "Digital Audio Resampling", 1984): a Kaiser-windowed sinc over
// 32 zero crossings on each side, tabulated at 256 phases with linear interpolation between them;
// flat to 0.41 of the lower rate, 80 dB down from 0.5 of it. Output sample j lies at input time
// j * from / to: the delay is latency() input samples that must follow before it comes out. Any
// split of the same signal gives the same samples. Nothing is allocated after construction. One
// thread at a time; real-time safe.
#ifndef PYVOC_DSP_RESAMPLER_H_
#define PYVOC_DSP_RESAMPLER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/realtime.h"
#include "base/span.h"

namespace pyvoc::dsp {

class Resampler {
 public:
  Resampler(double from_rate, double to_rate);

  // Output samples for each that the nominal rates ask for: 1 - kMostCorrection to 1 + that.
  static constexpr double kMostCorrection = 0.005;
  void correct(double factor) PYVOC_RT;

  // Input samples that an output sample waits for.
  std::size_t latency() const { return half_; }

  // The most that n input samples can complete.
  std::size_t most(std::size_t n) const PYVOC_RT;
  // out [most(pcm.size())]; returns the samples written.
  std::size_t push(Span<const float> pcm, float* out) PYVOC_RT;
  // Ends the signal with latency() zeros; out [most(latency())].
  std::size_t flush(float* out) PYVOC_RT;
  void reset() PYVOC_RT;

  // Output samples so far beyond those that the nominal rates ask for, for the input so far.
  double ahead() const PYVOC_RT {
    return static_cast<double>(written_) - static_cast<double>(taken_) * (to_rate_ / from_rate_);
  }

 private:
  float interpolate() const PYVOC_RT;

  double from_rate_, to_rate_;
  std::size_t half_;          // taps on each side of the centre
  std::vector<float> table_;  // [kPhases + 1, 2 half_]
  std::vector<float> line_;   // the newest samples, twice as many as are needed
  std::size_t filled_ = 0;    // of line_
  std::size_t whole_ = 0;     // the next output lies between line_[whole_ + half_ - 1] and the next
  double part_ = 0.0;         // how far
  double step_ = 1.0;         // input samples per output sample
  std::uint64_t taken_ = 0, written_ = 0;
};

}  // namespace pyvoc::dsp
#endif  // PYVOC_DSP_RESAMPLER_H_
