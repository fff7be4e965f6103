// FeatureExtractor: what every extractor is to the C ABI: PCM in any pieces, frames out.
//
// Any split of the same signal gives the same frames, bit for bit. Nothing is allocated after
// construction. One thread at a time; the calls marked PYVOC_RT are real-time safe.
#ifndef PYVOC_DSP_FEATURE_EXTRACTOR_H_
#define PYVOC_DSP_FEATURE_EXTRACTOR_H_

#include <cstddef>

#include "base/realtime.h"
#include "base/span.h"

namespace pyvoc::dsp {

class FeatureExtractor {
 public:
  virtual ~FeatureExtractor() = default;

  virtual std::size_t sample_rate() const = 0;          // Hz
  virtual std::size_t hop_length() const PYVOC_RT = 0;  // samples per frame
  virtual std::size_t dims() const PYVOC_RT = 0;        // floats per frame
  // From the newest sample a frame needs back to the centre of its analysis window.
  virtual std::size_t latency_samples() const PYVOC_RT = 0;

  // Frames that pushing n more samples completes or, with n = 0, that ending the signal does.
  virtual std::size_t frames_after(std::size_t n) const PYVOC_RT = 0;
  // out [frames_after(pcm.size()), dims()]; returns the frames written. The PCM is finite.
  virtual std::size_t push(Span<const float> pcm, float* out) PYVOC_RT = 0;
  // Ends the signal; out [frames_after(0), dims()]; returns the frames written.
  virtual std::size_t flush(float* out) PYVOC_RT = 0;
  // Back to the beginning.
  virtual void reset() PYVOC_RT = 0;
};

}  // namespace pyvoc::dsp
#endif  // PYVOC_DSP_FEATURE_EXTRACTOR_H_
