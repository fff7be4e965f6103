// The flows of a stream one behind the other, from noise to audio. Each gives what its input
// completes, so flow k is k x reach steps behind the noise; at the end of a stream they go on at
// the same pace. Called by one thread; each convolution is shared with the team. Allocates in the
// constructor only.
#ifndef PYVOC_MODELS_WAVEGLOW_CHAIN_H_
#define PYVOC_MODELS_WAVEGLOW_CHAIN_H_

#include <vector>

#include "models/waveglow/flow.h"

namespace pyvoc::models::waveglow {

// X: float, or uint8 for int8 weights.
template <typename X>
class Chain {
 public:
  Chain(const Config& config, const Weights& weights, const Workspace<X>& space, Arena& arena);

  void reset() PYVOC_RT;

  // Becomes what `from` is, a chain of the same model.
  void copy(const Chain& from) PYVOC_RT;

  // From now on, what layers get is added to seen [flows][layers].
  void observe(const std::vector<LayerActivations>& seen);

  nn::Rows<float>& noise() PYVOC_RT { return flows_.back().input(); }  // the caller appends
  nn::Rows<float>& audio() PYVOC_RT { return audio_; }                 // [groups]

  // Up to which row (exclusive) no flow needs conditioning any more.
  std::int64_t done() const PYVOC_RT { return flows_[0].done(); }

  // As if the noise up to row `front` were there, at least as far as before, at most a slice
  // further; `total` rows are there in all, -1 if that is not known.
  void advance(Team& team, const Workspace<X>& space, const nn::Rows<X>& condition,
               const Noise& noise, std::int64_t front, std::int64_t total) PYVOC_RT;
  std::int64_t front() const PYVOC_RT { return front_; }

 private:
  const Config& c_;
  std::vector<Flow<X>> flows_;
  nn::Rows<float> audio_;
  std::int64_t front_ = 0;
};

extern template class Chain<float>;
extern template class Chain<std::uint8_t>;

}  // namespace pyvoc::models::waveglow
#endif  // PYVOC_MODELS_WAVEGLOW_CHAIN_H_
