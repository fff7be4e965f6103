// WaveGlow as a stream: mel frames in, samples out. What a frame brings goes through the
// upsampling and, as far as it completes something, through every flow; each flow keeps the little
// that it needs of the past, so that any division of the frames gives the same samples. Samples
// that are wanted before all frames that they depend on are there come from a copy of the flows,
// which goes on as if the stream ended. Called by one thread; each convolution is shared with the
// team. Allocates in the constructor only.
#ifndef PYVOC_MODELS_WAVEGLOW_GENERATOR_H_
#define PYVOC_MODELS_WAVEGLOW_GENERATOR_H_

#include <memory>

#include "models/waveglow/chain.h"
#include "models/waveglow/conditioning.h"

namespace pyvoc::models::waveglow {

// X: float, or uint8 for int8 weights.
template <typename X>
class Generator {
 public:
  Generator(const Config& config, const Weights& weights, int threads);

  // Frames may follow finish() from now on. Allocates.
  void book_copy();

  void reset(std::uint64_t seed) PYVOC_RT;

  // From now on, seconds are added to groups [kGroups].
  void time(GroupTime* groups) { space_.groups = groups; }

  // From now on, what layers get is added to seen [flows][layers], and to `condition` what all of
  // them get besides: [bands * groups].
  void observe(const std::vector<LayerActivations>& seen, Activations* condition);
  Noise& noise() PYVOC_RT { return noise_; }

  // Takes n <= kBlockFrames frames [n][bands] and computes all samples that they complete.
  void push(const float* frames, int n) PYVOC_RT;

  // Computes the next n samples, a multiple of groups, as if no frame followed. `last`: the last
  // sample (exclusive) that will be asked for before one does.
  void finish(std::int64_t n, std::int64_t last) PYVOC_RT;

  // Samples at .. at + n - 1 of those that were computed and not dropped, and how to drop the
  // oldest n, a multiple of groups.
  void copy(int at, float* samples, int n) PYVOC_RT;
  void drop(std::int64_t n) PYVOC_RT;

  const Team& team() const PYVOC_RT { return team_; }

 private:
  const Config& c_;
  const Weights& w_;
  Arena arena_;
  Team team_;
  Noise noise_;
  Workspace<X> space_;
  Conditioning<X> condition_;
  Chain<X> flows_;
  std::unique_ptr<Chain<X>> copy_;
  Chain<X>* source_ = &flows_;  // of samples: flows_, after finish() the copy if there is one
  std::int64_t copied_ = 0;     // the rows that there were when the copy was made
  std::int64_t dropped_ = 0;    // rows
};

extern template class Generator<float>;
extern template class Generator<std::uint8_t>;

}  // namespace pyvoc::models::waveglow
#endif  // PYVOC_MODELS_WAVEGLOW_GENERATOR_H_
