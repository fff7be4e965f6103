// The flows from audio to noise: 1 x 1 convolution, then coupling, flow 0 first; and what scales
// the volume on the way, so that together they say how likely the audio is. A whole utterance in
// pieces: memory does not grow with it. Called by one thread; each convolution is shared with the
// team. Allocates in the constructor only.
#ifndef PYVOC_MODELS_WAVEGLOW_LIKELIHOOD_H_
#define PYVOC_MODELS_WAVEGLOW_LIKELIHOOD_H_

#include <vector>

#include "base/span.h"
#include "models/waveglow/conditioning.h"
#include "models/waveglow/flow.h"

namespace pyvoc::models::waveglow {

// X: float, or uint8 for int8 weights.
template <typename X>
class Likelihood {
 public:
  Likelihood(const Config& config, const Weights& weights, int threads);

  // Once. pcm: whole steps, within the frames of `features` [frames][bands]. Writes `noise`
  // [pcm.size()], part after part as Noise::give takes them but scaled, and adds each flow's
  // logarithms of scales to `log_scales` [flows].
  void run(Matrix<const float> features, Span<const float> pcm, float* noise, double* log_scales);

 private:
  // Takes rows [begin, end) of the samples: mixed, they are flow 0's input.
  void take(Span<const float> pcm, std::int64_t begin, std::int64_t end);
  // As if the samples up to row `front` were there, of which `total` are.
  void advance(std::int64_t front, std::int64_t total, float* noise, double* log_scales);
  // Scales and shifts one half of a row; the sum of the logarithms.
  double couple(const typename Flow<X>::Coupling& row) const;
  // What leaves after flow k goes to `noise`, the rest is mixed and is the next flow's input.
  void pass_on(int k, std::int64_t total, float* noise);
  void mix(int k, const float* rows, int width, std::int64_t count);

  const Config& c_;
  const Weights& w_;
  Arena arena_;
  Team team_;
  Workspace<X> space_;
  Conditioning<X> condition_;
  std::vector<Flow<X>> flows_;
  std::vector<int> first_;  // channel of all noise that leaves first after flow k
  float* audio_ = nullptr;  // [slice][groups padded]
};

extern template class Likelihood<float>;
extern template class Likelihood<std::uint8_t>;

}  // namespace pyvoc::models::waveglow
#endif  // PYVOC_MODELS_WAVEGLOW_LIKELIHOOD_H_
