#include "models/waveglow/generator.h"

#include <algorithm>

namespace pyvoc::models::waveglow {
namespace {

constexpr float kLoudest = 100.0f;  // of a sample: what goes beyond comes of a damaged model

}  // namespace

template <typename X>
Generator<X>::Generator(const Config& config, const Weights& weights, int threads)
    : c_(config),
      w_(weights),
      team_(threads),
      noise_(config),
      space_(config, weights, arena_),
      condition_(config, weights, arena_),
      flows_(config, weights, space_, arena_) {}

template <typename X>
void Generator<X>::book_copy() {
  copy_ = std::make_unique<Chain<X>>(c_, w_, space_, arena_);
}

template <typename X>
void Generator<X>::reset(std::uint64_t seed) PYVOC_RT {
  noise_.reset(seed);
  condition_.reset();
  flows_.reset();
  source_ = &flows_;
  copied_ = dropped_ = 0;
}

template <typename X>
void Generator<X>::observe(const std::vector<LayerActivations>& seen, Activations* condition) {
  condition_.observe(condition);
  flows_.observe(seen);
}

template <typename X>
void Generator<X>::push(const float* frames, int n) PYVOC_RT {
  source_ = &flows_;
  {
    const Timed timed(space_.groups, kUpsample);
    condition_.append(team_, frames, static_cast<std::size_t>(c_.bands), n, flows_.done());
  }
  nn::Rows<float>& input = flows_.noise();
  const std::int64_t until = condition_.end();
  for (std::int64_t t = input.end(); t < until; ++t) noise_.fill(0, t, input.row(t));
  input.extend_to(until);
  while (flows_.front() < until) {
    const std::int64_t front = std::min(flows_.front() + space_.slice, until);
    flows_.advance(team_, space_, condition_.rows(), noise_, front, -1);
  }
}

template <typename X>
void Generator<X>::finish(std::int64_t n, std::int64_t last) PYVOC_RT {
  const std::int64_t total = condition_.end(), wanted = dropped_ + n / c_.groups;
  if (copy_ != nullptr && copied_ != total) {
    copy_->copy(flows_);
    copied_ = total;
  }
  if (copy_ != nullptr) source_ = copy_.get();
  Chain<X>& chain = *source_;
  const std::int64_t most = last / c_.groups + std::int64_t{c_.flows()} * c_.reach();
  while (chain.audio().end() < wanted) {
    const std::int64_t front = std::min(chain.front() + space_.slice, most);
    chain.advance(team_, space_, condition_.rows(), noise_, front, total);
    chain.audio().drop_before(std::min(dropped_, chain.audio().end()));  // given early
  }
}

template <typename X>
void Generator<X>::copy(int at, float* samples, int n) PYVOC_RT {
  const nn::Rows<float>& audio = source_->audio();
  for (int i = 0; i < n; ++i) {
    const float x = audio.row(dropped_ + (at + i) / c_.groups)[(at + i) % c_.groups];
    const float low = x > -kLoudest ? x : -kLoudest;
    samples[i] = low < kLoudest ? low : kLoudest;
  }
}

template <typename X>
void Generator<X>::drop(std::int64_t n) PYVOC_RT {
  dropped_ += n / c_.groups;
  for (Chain<X>* chain : {&flows_, source_}) {
    chain->audio().drop_before(std::min(dropped_, chain->audio().end()));
  }
}

template class Generator<float>;
template class Generator<std::uint8_t>;

}  // namespace pyvoc::models::waveglow
