// WaveGlow as a stream: mel frames in, samples out. What a frame brings goes through the
// upsampling and, as far as it completes something, through every flow; each flow keeps the little
// that it needs of the past, so that any division of the frames gives the same samples. At the end
// of a stream the flows go on at the same pace. Called by one thread; each convolution is shared
// with the team. Allocates in the constructor only.
#ifndef PYVOC_MODELS_WAVEGLOW_GENERATOR_H_
#define PYVOC_MODELS_WAVEGLOW_GENERATOR_H_

#include <vector>

#include "models/waveglow/conditioning.h"
#include "models/waveglow/flow.h"

namespace pyvoc::models::waveglow {

// X: float, or uint8 for int8 weights.
template <typename X>
class Generator {
 public:
  Generator(const Config& config, const Weights& weights, int threads);

  void reset(std::uint64_t seed) PYVOC_RT;
  Noise& noise() PYVOC_RT { return noise_; }

  // Takes n <= kBlockFrames frames [n][bands] and computes all samples that they complete.
  void push(const float* frames, int n) PYVOC_RT;

  // No frame follows: computes until at least so many samples are ready (all of them at the end).
  void finish(std::int64_t samples) PYVOC_RT;

  // Samples that are ready, oldest first, and how to take the oldest n.
  std::int64_t count() const PYVOC_RT { return (audio_.end() - given_) * c_.groups; }
  void take(std::int64_t n, float* samples) PYVOC_RT;  // a multiple of groups

 private:
  // As if the noise up to row `front` were there, of which `total` are, if that is known.
  void advance(std::int64_t front, std::int64_t total) PYVOC_RT;

  const Config& c_;
  Arena arena_;
  Team team_;
  Noise noise_;
  Workspace<X> space_;
  Conditioning<X> condition_;
  std::vector<Flow<X>> flows_;
  nn::Rows<float> audio_;  // [groups]
  std::int64_t front_ = 0, given_ = 0;
};

extern template class Generator<float>;
extern template class Generator<std::uint8_t>;

}  // namespace pyvoc::models::waveglow
#endif  // PYVOC_MODELS_WAVEGLOW_GENERATOR_H_
