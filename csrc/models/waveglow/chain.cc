#include "models/waveglow/chain.h"

#include <algorithm>

namespace pyvoc::models::waveglow {

template <typename X>
Chain<X>::Chain(const Config& config, const Weights& weights, const Workspace<X>& space,
                Arena& arena)
    : c_(config) {
  const std::int64_t block = std::int64_t{kBlockFrames} * c_.steps_per_frame();
  flows_.reserve(static_cast<std::size_t>(c_.flows()));
  for (int k = 0; k < c_.flows(); ++k) {
    flows_.emplace_back(c_, weights.flows[static_cast<std::size_t>(k)], k, arena,
                        k + 1 < c_.flows() ? space.slice : block);
  }
  // Look-ahead is in whole frames: up to a frame more than what is due may be there, and all that
  // the last flow held back at the end.
  audio_ =
      nn::Rows<float>(arena, nn::padded(c_.groups), 0, nn::Padding::kZero, 0,
                      2 * block + 2 * c_.steps_per_frame() + c_.reach() + space.slice, nullptr);
}

template <typename X>
void Chain<X>::reset() PYVOC_RT {
  for (Flow<X>& flow : flows_) flow.reset();
  audio_.reset();
  front_ = 0;
}

template <typename X>
void Chain<X>::copy(const Chain& from) PYVOC_RT {
  for (std::size_t k = 0; k < flows_.size(); ++k) flows_[k].copy_state(from.flows_[k]);
  audio_.copy(from.audio_);
  front_ = from.front_;
}

template <typename X>
void Chain<X>::observe(const std::vector<LayerActivations>& seen) {
  for (std::size_t k = 0; k < flows_.size(); ++k) {
    flows_[k].observe(seen.data() + k * static_cast<std::size_t>(c_.layers));
  }
}

template <typename X>
void Chain<X>::advance(Team& team, const Workspace<X>& space, const nn::Rows<X>& condition,
                       const Noise& noise, std::int64_t front, std::int64_t total) PYVOC_RT {
  front_ = front;
  int part = 1;
  for (int k = c_.flows() - 1; k >= 0; --k) {
    Flow<X>& flow = flows_[static_cast<std::size_t>(k)];
    nn::Rows<float>& next = k > 0 ? flows_[static_cast<std::size_t>(k - 1)].input() : audio_;
    const std::int64_t delay = std::int64_t{c_.flows() - 1 - k} * c_.reach();
    const std::int64_t until = std::min(flow.input().end(), front - delay);
    flow.run(team, space, condition, until, total, noise, part, next);
    if (c_.joins(k)) ++part;
  }
}

template class Chain<float>;
template class Chain<std::uint8_t>;

}  // namespace pyvoc::models::waveglow
