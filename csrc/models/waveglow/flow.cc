#include "models/waveglow/flow.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace pyvoc::models::waveglow {
namespace {

using kernels::ConvInput;
using kernels::ConvOutput;

constexpr std::int64_t kMostSlice = 1024;
constexpr std::int64_t kPiece = 128;  // rows of a layer that go through it together, in the cache

std::size_t floats(std::int64_t rows, int channels) {
  return static_cast<std::size_t>(rows * channels);
}

ConvInput<float> one_segment(const float* base, int channels) PYVOC_RT {
  ConvInput<float> in;
  in.segments = 1;
  in.base[0] = base;
  in.stride[0] = in.cols[0] = channels;
  return in;
}

}  // namespace

// At the end of a stream a layer gets, with the rows of a slice, those that the layers before held
// back.
Workspace::Workspace(const Config& config, Arena& arena)
    : slice(std::min<std::int64_t>(kMostSlice,
                                   std::int64_t{kBlockFrames} * config.steps_per_frame())) {
  const int hidden = nn::padded(config.hidden);
  const std::int64_t widest = std::int64_t{1} << (config.layers - 1);
  const std::int64_t rows = slice + config.reach() + 3 * widest;
  input = arena.allocate<float>(floats(rows, hidden));
  output = arena.allocate<float>(floats(rows, hidden));
  gated = arena.allocate<float>(floats(kPiece, hidden));
}

Flow::Flow(const Config& config, const FlowWeights& weights, int number, Arena& arena,
           std::int64_t slice)
    : c_(config),
      w_(weights),
      number_(number),
      width_(nn::padded(config.channels[static_cast<std::size_t>(number)])),
      hidden_(nn::padded(config.hidden)) {
  // Rows that are not coupled yet, and what the flow before gives at a time.
  const std::int64_t rows = slice + 3 * std::int64_t{c_.reach()};
  input_ = nn::Rows<float>(arena, width_, 0, nn::Padding::kZero, 0, rows, nullptr);
  shift_scale_ = nn::Rows<float>(arena, width_, 0, nn::Padding::kZero, 0, rows, nullptr);
  layers_.resize(static_cast<std::size_t>(c_.layers));
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    layers_[i].tail = arena.allocate<float>(floats(std::int64_t{2} << i, hidden_));
  }
}

void Flow::reset() PYVOC_RT {
  input_.reset();
  shift_scale_.reset();
  started_ = coupled_ = 0;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    layers_[i].done = layers_[i].end = 0;
    const std::size_t before = floats(std::int64_t{1} << i, hidden_);  // zeros before row 0
    std::fill(layers_[i].tail, layers_[i].tail + before, 0.0f);
  }
}

void Flow::run(Team& team, const Workspace& space, const nn::Rows<float>& condition,
               std::int64_t until, std::int64_t total, const Noise& noise, int part,
               nn::Rows<float>& next) PYVOC_RT {
  while (started_ < until || (until == total && coupled_ < total)) {
    start(team, space, std::min(space.slice, until - started_));
    run_layers(team, space, condition, total);
    const std::int64_t complete = layers_.back().done;
    couple(complete);
    unmix(team, complete, noise, part, next);
    coupled_ = complete;
    input_.drop_before(coupled_);
    shift_scale_.drop_before(coupled_);
  }
}

std::int64_t Flow::load_tail(std::size_t i, float* to) const PYVOC_RT {
  const LayerState& layer = layers_[i];
  const std::int64_t rows = layer.end - layer.done + (std::int64_t{1} << i);
  std::memcpy(to, layer.tail, sizeof(float) * floats(rows, hidden_));
  return rows;
}

// Rows more for the first layer, which are in the workspace then.
void Flow::start(Team& team, const Workspace& space, std::int64_t rows) PYVOC_RT {
  const std::int64_t kept = load_tail(0, space.input);
  if (rows == 0) return;
  ConvOutput out;
  out.value = space.input + kept * hidden_;
  w_.start.run(team, one_segment(input_.row(started_), width_), static_cast<int>(rows), out);
  started_ += rows;
  layers_[0].end = started_;
}

// Every layer's input is in the workspace when its turn comes.
void Flow::run_layers(Team& team, Workspace space, const nn::Rows<float>& condition,
                      std::int64_t total) PYVOC_RT {
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    LayerState& layer = layers_[i];
    const std::int64_t dilation = std::int64_t{1} << i, from = layer.done;
    const bool ended = layer.end == total;
    if (ended) {
      float* beyond = space.input + (layer.end - from + dilation) * hidden_;
      std::fill(beyond, beyond + dilation * hidden_, 0.0f);
    }
    const std::int64_t until = ended ? layer.end : std::max(layer.end - dilation, from);
    if (i + 1 < layers_.size()) load_tail(i + 1, space.output);
    run_layer(team, space, condition, i, until);
    layer.done = until;
    std::memcpy(layer.tail, space.input + (until - from) * hidden_,
                sizeof(float) * floats(layer.end - until + dilation, hidden_));
    if (i + 1 < layers_.size()) layers_[i + 1].end = until;
    std::swap(space.input, space.output);
  }
}

// Rows up to `until`: gated values, from them what is added to the stream and to shift and scale.
void Flow::run_layer(Team& team, const Workspace& space, const nn::Rows<float>& condition,
                     std::size_t i, std::int64_t until) PYVOC_RT {
  const Layer& w = w_.layers[i];
  const std::int64_t dilation = std::int64_t{1} << i, from = layers_[i].done;
  const bool last = i + 1 == layers_.size();
  const int cols = c_.groups * nn::padded(c_.bands);
  float* next = nullptr;  // row `from` of the next layer's input
  if (!last) {
    const LayerState& after = layers_[i + 1];
    next = space.output + (after.end - after.done + 2 * dilation) * hidden_;
  }
  for (std::int64_t row = from; row < until; row += kPiece) {
    const int rows = static_cast<int>(std::min(kPiece, until - row));
    const float* here = space.input + (row - from + dilation) * hidden_;
    ConvInput<float> in;
    in.segments = kTaps + 1;
    for (int tap = 0; tap < kTaps; ++tap) {
      in.base[tap] = here + (tap - kTaps / 2) * dilation * hidden_;
      in.stride[tap] = in.cols[tap] = hidden_;
    }
    in.base[kTaps] = condition.row(row);
    in.stride[kTaps] = in.cols[kTaps] = cols;
    ConvOutput gated;
    gated.value = space.gated;
    w.gate.run(team, in, rows, gated);

    const ConvInput<float> values = one_segment(space.gated, hidden_);
    if (!last) {
      ConvOutput out;
      out.value = next + (row - from) * hidden_;
      out.add = here;
      w.residual.run(team, values, rows, out);
    }
    ConvOutput sum;
    sum.value = shift_scale_.row(row);
    if (i > 0) sum.add = sum.value;
    w.skip.run(team, values, rows, sum);
  }
  if (i == 0) shift_scale_.extend_to(until);
}

// Undoes the scaling and the shift of one half.
void Flow::couple(std::int64_t until) PYVOC_RT {
  const int half = c_.channels[static_cast<std::size_t>(number_)] / 2;
  const int first = c_.swapped(number_) ? 0 : half;
  for (std::int64_t t = coupled_; t < until; ++t) {
    float* x = input_.row(t) + first;
    const float* shift = shift_scale_.row(t);
    const float* log_scale = shift + half;
    for (int c = 0; c < half; ++c) {
      const double scale = std::exp(-static_cast<double>(log_scale[c]));
      x[c] =
          static_cast<float>((static_cast<double>(x[c]) - static_cast<double>(shift[c])) * scale);
    }
  }
}

void Flow::unmix(Team& team, std::int64_t until, const Noise& noise, int part,
                 nn::Rows<float>& next) PYVOC_RT {
  if (until == coupled_) return;
  ConvOutput out;
  out.value = next.row(coupled_);
  w_.unmix.run(team, one_segment(input_.row(coupled_), width_), static_cast<int>(until - coupled_),
               out);
  if (c_.joins(number_)) {
    for (std::int64_t t = coupled_; t < until; ++t) noise.fill(part, t, next.row(t));
  }
  next.extend_to(until);
}

}  // namespace pyvoc::models::waveglow
