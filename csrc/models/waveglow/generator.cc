#include "models/waveglow/generator.h"

#include <algorithm>

namespace pyvoc::models::waveglow {
namespace {

constexpr float kLoudest = 100.0f;  // of a sample: what goes beyond comes of a damaged model

}  // namespace

template <typename X>
Generator<X>::Generator(const Config& config, const Weights& weights, int threads)
    : c_(config),
      team_(threads),
      noise_(config),
      space_(config, arena_),
      condition_(config, weights, arena_) {
  const std::int64_t block = std::int64_t{kBlockFrames} * c_.steps_per_frame();
  flows_.reserve(static_cast<std::size_t>(c_.flows()));
  for (int k = 0; k < c_.flows(); ++k) {
    flows_.emplace_back(c_, weights.flows[static_cast<std::size_t>(k)], k, arena_,
                        k + 1 < c_.flows() ? space_.slice : block);
  }
  // Look-ahead is in whole frames: up to a frame more than what is due may be there, and all that
  // the last flow held back at the end.
  audio_ =
      nn::Rows<float>(arena_, nn::padded(c_.groups), 0, nn::Padding::kZero, 0,
                      2 * block + 2 * c_.steps_per_frame() + c_.reach() + space_.slice, nullptr);
}

template <typename X>
void Generator<X>::reset(std::uint64_t seed) PYVOC_RT {
  noise_.reset(seed);
  condition_.reset();
  for (Flow<X>& flow : flows_) flow.reset();
  audio_.reset();
  front_ = given_ = 0;
}

template <typename X>
void Generator<X>::push(const float* frames, int n) PYVOC_RT {
  condition_.append(team_, frames, static_cast<std::size_t>(c_.bands), n, flows_[0].done());
  nn::Rows<float>& input = flows_.back().input();
  const std::int64_t until = condition_.end();
  for (std::int64_t t = input.end(); t < until; ++t) noise_.fill(0, t, input.row(t));
  input.extend_to(until);
  while (front_ < until) {
    front_ = std::min(front_ + space_.slice, until);
    advance(front_, -1);
  }
}

template <typename X>
void Generator<X>::finish(std::int64_t samples) PYVOC_RT {
  const std::int64_t total = condition_.end();
  const std::int64_t wanted = std::min((samples + c_.groups - 1) / c_.groups, total - given_);
  while (audio_.end() - given_ < wanted) {
    front_ += space_.slice;
    advance(front_, total);
  }
}

template <typename X>
void Generator<X>::advance(std::int64_t front, std::int64_t total) PYVOC_RT {
  int part = 1;
  for (int k = c_.flows() - 1; k >= 0; --k) {
    Flow<X>& flow = flows_[static_cast<std::size_t>(k)];
    nn::Rows<float>& next = k > 0 ? flows_[static_cast<std::size_t>(k - 1)].input() : audio_;
    const std::int64_t delay = std::int64_t{c_.flows() - 1 - k} * c_.reach();
    const std::int64_t until = std::min(flow.input().end(), front - delay);
    flow.run(team_, space_, condition_.rows(), until, total, noise_, part, next);
    if (c_.joins(k)) ++part;
  }
}

template <typename X>
void Generator<X>::take(std::int64_t n, float* samples) PYVOC_RT {
  for (std::int64_t i = 0; i < n; i += c_.groups) {
    const float* row = audio_.row(given_++);
    for (int c = 0; c < c_.groups; ++c) {
      const float x = row[c];
      const float low = x > -kLoudest ? x : -kLoudest;
      samples[i + c] = low < kLoudest ? low : kLoudest;
    }
  }
  audio_.drop_before(given_);
}

template class Generator<float>;
template class Generator<std::uint8_t>;

}  // namespace pyvoc::models::waveglow
