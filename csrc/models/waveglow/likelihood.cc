#include "models/waveglow/likelihood.h"

#include <algorithm>
#include <cmath>

namespace pyvoc::models::waveglow {
namespace {

std::size_t index(int k) { return static_cast<std::size_t>(k); }

}  // namespace

template <typename X>
Likelihood<X>::Likelihood(const Config& config, const Weights& weights, int threads)
    : c_(config),
      w_(weights),
      team_(threads),
      space_(config, arena_),
      condition_(config, weights, arena_) {
  condition_.reset();
  flows_.reserve(index(c_.flows()));
  for (int k = 0; k < c_.flows(); ++k) {
    flows_.emplace_back(c_, w_.flows[index(k)], k, arena_, space_.slice);
    flows_.back().reset();
  }
  first_.resize(index(c_.flows()), 0);  // the last flow's part is the first
  int after = c_.channels.back();
  for (int k = c_.flows() - 1; k > 0; --k) {
    first_[index(k - 1)] = after;
    if (c_.joins(k)) after += c_.early_size;
  }
  audio_ =
      arena_.allocate<float>(static_cast<std::size_t>(space_.slice) * index(nn::padded(c_.groups)));
}

template <typename X>
void Likelihood<X>::run(Matrix<const float> features, Span<const float> pcm, float* noise,
                        double* log_scales) {
  const std::int64_t total = static_cast<std::int64_t>(pcm.size()) / c_.groups;
  std::int64_t taken = 0, front = 0, frames = 0;
  while (flows_.back().done() < total) {
    const std::int64_t until = std::min(taken + space_.slice, total);
    while (condition_.end() < until) {
      const std::int64_t left = static_cast<std::int64_t>(features.rows()) - frames;
      const int n = static_cast<int>(std::min<std::int64_t>(kBlockFrames, left));
      condition_.append(team_, features[static_cast<std::size_t>(frames)].data(), features.stride(),
                        n, flows_.back().done());
      frames += n;
    }
    take(pcm, taken, until);
    taken = until;
    front += space_.slice;
    advance(front, total, noise, log_scales);
  }
}

template <typename X>
void Likelihood<X>::take(Span<const float> pcm, std::int64_t begin, std::int64_t end) {
  const int width = nn::padded(c_.groups);
  for (std::int64_t t = begin; t < end; ++t) {
    const float* samples = pcm.data() + t * c_.groups;
    std::copy(samples, samples + c_.groups, audio_ + (t - begin) * width);
  }
  mix(0, audio_, width, end - begin);
}

template <typename X>
void Likelihood<X>::advance(std::int64_t front, std::int64_t total, float* noise,
                            double* log_scales) {
  for (int k = 0; k < c_.flows(); ++k) {
    Flow<X>& flow = flows_[index(k)];
    const std::int64_t until = std::min(flow.input().end(), front - std::int64_t{k} * c_.reach());
    while (flow.advance(team_, space_, condition_.rows(), until, total)) {
      for (std::int64_t t = flow.done(); t < flow.ready(); ++t) {
        log_scales[k] += couple(flow.coupling(t));
      }
      pass_on(k, total, noise);
      flow.release();
    }
  }
}

template <typename X>
double Likelihood<X>::couple(const typename Flow<X>::Coupling& row) const {
  double sum = 0.0;
  for (int c = 0; c < row.channels; ++c) {
    const double log_scale = static_cast<double>(row.log_scale[c]);
    const double scaled = static_cast<double>(row.x[c]) * std::exp(log_scale);
    row.x[c] = static_cast<float>(scaled + static_cast<double>(row.shift[c]));
    sum += log_scale;
  }
  return sum;
}

template <typename X>
void Likelihood<X>::pass_on(int k, std::int64_t total, float* noise) {
  Flow<X>& flow = flows_[index(k)];
  const bool last = k + 1 == c_.flows();
  const int leaving = last ? c_.channels.back() : c_.joins(k + 1) ? c_.early_size : 0;
  for (std::int64_t t = flow.done(); t < flow.ready(); ++t) {
    const float* row = flow.input().row(t);
    for (int c = 0; c < leaving; ++c) noise[(first_[index(k)] + c) * total + t] = row[c];
  }
  if (last) return;
  mix(k + 1, flow.input().row(flow.done()), nn::padded(c_.channels[index(k)]),
      flow.ready() - flow.done());
}

// Rows that reach flow k, [count][width], through its 1 x 1 convolution.
template <typename X>
void Likelihood<X>::mix(int k, const float* rows, int width, std::int64_t count) {
  if (count == 0) return;
  nn::Rows<float>& input = flows_[index(k)].input();
  kernels::ConvInput<float> in;
  in.segments = 1;
  in.base[0] = rows;
  in.stride[0] = in.cols[0] = width;
  kernels::ConvOutput out;
  out.value = input.row(input.end());
  w_.flows[index(k)].mix.run(team_, in, static_cast<int>(count), out);
  input.extend_to(input.end() + count);
}

template class Likelihood<float>;
template class Likelihood<std::uint8_t>;

}  // namespace pyvoc::models::waveglow
