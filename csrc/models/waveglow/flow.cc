#include "models/waveglow/flow.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>

namespace pyvoc::models::waveglow {
namespace {

using kernels::ConvInput;
using kernels::ConvOutput;

constexpr std::int64_t kMostSlice = 512;
// Rows of a layer that go through it together, in the cache.
constexpr std::int64_t kPiece = nn::GatedConv::kMostRows;

std::size_t floats(std::int64_t rows, int channels) {
  return static_cast<std::size_t>(rows * channels);
}

template <typename X>
ConvInput<X> one_segment(const X* base, int channels) PYVOC_RT {
  ConvInput<X> in;
  in.segments = 1;
  in.base[0] = base;
  in.stride[0] = in.cols[0] = channels;
  return in;
}

Stream<float> allocate(Arena& arena, std::int64_t rows, int channels, float) {
  float* value = arena.allocate<float>(floats(rows, channels));
  return {value, value};
}
Stream<std::uint8_t> allocate(Arena& arena, std::int64_t rows, int channels, std::uint8_t) {
  return {arena.allocate<float>(floats(rows, channels)),
          arena.allocate<std::uint8_t>(floats(rows, channels))};
}

// Dilations of rows that are computed, of rows that wait.
Stream<float> allocate_tail(Arena& arena, std::int64_t dilation, int channels, float) {
  return allocate(arena, 2 * dilation, channels, 0.0f);
}
Stream<std::uint8_t> allocate_tail(Arena& arena, std::int64_t dilation, int channels,
                                   std::uint8_t) {
  return {arena.allocate<float>(floats(dilation, channels)),
          arena.allocate<std::uint8_t>(floats(2 * dilation, channels))};
}

// Where a layer's values go.
void to_stream(ConvOutput& out, Stream<float> rows, const Quantization&) PYVOC_RT {
  out.value = rows.value;
}
void to_stream(ConvOutput& out, Stream<std::uint8_t> rows, const Quantization& q) PYVOC_RT {
  out.value = rows.value;
  out.value_u8 = rows.read;
  out.value_inverse = q.inverse;
  out.value_offset = q.offset;
}

}  // namespace

// At the end of a stream a layer gets, with the rows of a slice, those that the layers before held
// back.
template <typename X>
Workspace<X>::Workspace(const Config& config, const Weights& weights, Arena& arena)
    : slice(std::min<std::int64_t>(kMostSlice,
                                   std::int64_t{kBlockFrames} * config.steps_per_frame())) {
  const int hidden = nn::padded(config.hidden);
  const std::int64_t widest = std::int64_t{1} << (config.layers - 1);
  const std::int64_t rows = slice + config.reach() + 3 * widest;
  input = allocate(arena, rows, hidden, X{});
  output = allocate(arena, rows, hidden, X{});
  gated = allocate(arena, kPiece, hidden, X{});
  scratch = arena.allocate<float>(weights.flows[0].layers.back().gate.scratch());  // the most
}

template <typename X>
Flow<X>::Flow(const Config& config, const FlowWeights& weights, int number, Arena& arena,
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
    layers_[i].tail = allocate_tail(arena, std::int64_t{1} << i, hidden_, X{});
    layers_[i].kept = arena.allocate<float>(w_.layers[i].gate.kept());
  }
}

template <typename X>
void Flow<X>::reset() PYVOC_RT {
  input_.reset();
  shift_scale_.reset();
  started_ = coupled_ = 0;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    layers_[i].done = layers_[i].end = 0;
    clear(i, layers_[i].tail.read, std::int64_t{1} << i);  // before row 0
  }
}

template <typename X>
void Flow<X>::copy_state(const Flow& from) PYVOC_RT {
  input_.copy(from.input_);
  shift_scale_.copy(from.shift_scale_);
  started_ = from.started_;
  coupled_ = from.coupled_;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    LayerState& layer = layers_[i];
    layer.done = from.layers_[i].done;
    layer.end = from.layers_[i].end;
    copy_tail(i, layer.tail, from.layers_[i].tail);
    std::memcpy(layer.kept, from.layers_[i].kept, sizeof(float) * w_.layers[i].gate.kept());
  }
}

template <typename X>
void Flow<X>::run(Team& team, const Workspace<X>& space, const nn::Rows<X>& condition,
                  std::int64_t until, std::int64_t total, const Noise& noise, int part,
                  nn::Rows<float>& next) PYVOC_RT {
  while (advance(team, space, condition, until, total)) {
    const Timed timed(space.groups, kCouple);
    couple();
    unmix(team, noise, part, next);
    release();
  }
}

template <typename X>
bool Flow<X>::advance(Team& team, const Workspace<X>& space, const nn::Rows<X>& condition,
                      std::int64_t until, std::int64_t total) PYVOC_RT {
  if (started_ >= until && (until != total || coupled_ >= total)) return false;
  start(team, space, std::min(space.slice, until - started_));
  run_layers(team, space, condition, total);
  return true;
}

template <typename X>
void Flow<X>::release() PYVOC_RT {
  coupled_ = ready();
  input_.drop_before(coupled_);
  shift_scale_.drop_before(coupled_);
}

template <typename X>
void Flow<X>::copy_tail(std::size_t i, Stream<X> to, Stream<X> from) const PYVOC_RT {
  const std::int64_t waiting = layers_[i].end - layers_[i].done;
  std::memcpy(to.read, from.read, sizeof(X) * floats(waiting + (std::int64_t{1} << i), hidden_));
  if constexpr (!std::is_same<X, float>::value) {
    std::memcpy(to.value, from.value, sizeof(float) * floats(waiting, hidden_));
  }
}

template <typename X>
void Flow<X>::clear(std::size_t i, X* read, std::int64_t rows) const PYVOC_RT {
  if constexpr (std::is_same<X, float>::value) {
    std::fill(read, read + rows * hidden_, 0.0f);
  } else {
    for (std::int64_t row = 0; row < rows; ++row) {
      std::memcpy(read + row * hidden_, w_.layers[i].input.zero, floats(1, hidden_));
    }
  }
}

template <typename X>
std::int64_t Flow<X>::load_tail(std::size_t i, Stream<X> to) const PYVOC_RT {
  copy_tail(i, tail_of(i, to), layers_[i].tail);
  return layers_[i].end - layers_[i].done + (std::int64_t{1} << i);
}

// Rows more for the first layer, which are in the workspace then.
template <typename X>
void Flow<X>::start(Team& team, const Workspace<X>& space, std::int64_t rows) PYVOC_RT {
  const std::int64_t kept = load_tail(0, space.input);
  if (rows == 0) return;
  const Timed timed(space.groups, kStart);
  ConvOutput out;
  to_stream(out, at(space.input, kept), w_.layers[0].input);
  w_.start.run(team, one_segment<float>(input_.row(started_), width_), static_cast<int>(rows), out);
  started_ += rows;
  layers_[0].end = started_;
}

// Every layer's input is in the workspace when its turn comes.
template <typename X>
void Flow<X>::run_layers(Team& team, Workspace<X> space, const nn::Rows<X>& condition,
                         std::int64_t total) PYVOC_RT {
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    LayerState& layer = layers_[i];
    const std::int64_t dilation = std::int64_t{1} << i, from = layer.done;
    const bool ended = layer.end == total;
    if (ended) clear(i, at(space.input, layer.end - from + dilation).read, dilation);
    const std::int64_t until = ended ? layer.end : std::max(layer.end - dilation, from);
    if (i + 1 < layers_.size()) load_tail(i + 1, space.output);
    run_layer(team, space, condition, i, until);
    layer.done = until;
    copy_tail(i, layer.tail, tail_of(i, at(space.input, until - from)));
    if (i + 1 < layers_.size()) layers_[i + 1].end = until;
    std::swap(space.input, space.output);
  }
}

// Rows up to `until`: gated values, from them what is added to the stream and to shift and scale.
template <typename X>
void Flow<X>::run_layer(Team& team, const Workspace<X>& space, const nn::Rows<X>& condition,
                        std::size_t i, std::int64_t until) PYVOC_RT {
  const Layer& w = w_.layers[i];
  const std::int64_t dilation = std::int64_t{1} << i, from = layers_[i].done;
  const bool last = i + 1 == layers_.size();
  Stream<X> next;  // row `from` of the next layer's input
  if (!last) {
    const LayerState& after = layers_[i + 1];
    next = at(space.output, after.end - after.done + 2 * dilation);
  }
  for (std::int64_t row = from; row < until; row += kPiece) {
    const int rows = static_cast<int>(std::min(kPiece, until - row));
    const Stream<X> here = at(space.input, row - from + dilation);
    ConvOutput gated;
    to_stream(gated, space.gated, w.gated);
    {
      const Timed timed(space.groups, kGate);
      w.gate.run(team, here.read, condition.row(row), row, rows, gated, layers_[i].kept,
                 space.scratch);
    }
    if (seen_ != nullptr) {
      add_rows(here.read, rows, hidden_, c_.hidden, seen_[i].conv);
      add_rows(space.gated.read, rows, hidden_, c_.hidden, seen_[i].out);
    }
    if (!last) {
      const Timed timed(space.groups, kResidual);
      ConvOutput out;
      to_stream(out, at(next, row - from), w_.layers[i + 1].input);
      out.add = here.value;
      w.residual.run(team, one_segment<X>(space.gated.read, hidden_), rows, out);
    }
    const Timed timed(space.groups, kSkip);
    ConvOutput sum;
    sum.value = shift_scale_.row(row);
    if (i > 0) sum.add = sum.value;
    w.skip.run(team, one_segment<float>(space.gated.value, hidden_), rows, sum);
  }
  if (i == 0) shift_scale_.extend_to(until);
}

// Undoes the scaling and the shift of one half.
template <typename X>
void Flow<X>::couple() PYVOC_RT {
  for (std::int64_t t = coupled_; t < ready(); ++t) {
    const Coupling row = coupling(t);
    for (int c = 0; c < row.channels; ++c) {
      const double scale = std::exp(-static_cast<double>(row.log_scale[c]));
      const double x = static_cast<double>(row.x[c]) - static_cast<double>(row.shift[c]);
      row.x[c] = static_cast<float>(x * scale);
    }
  }
}

template <typename X>
void Flow<X>::unmix(Team& team, const Noise& noise, int part, nn::Rows<float>& next) PYVOC_RT {
  if (ready() == coupled_) return;
  ConvOutput out;
  out.value = next.row(coupled_);
  w_.unmix.run(team, one_segment<float>(input_.row(coupled_), width_),
               static_cast<int>(ready() - coupled_), out);
  if (c_.joins(number_)) {
    for (std::int64_t t = coupled_; t < ready(); ++t) noise.fill(part, t, next.row(t));
  }
  next.extend_to(ready());
}

template struct Workspace<float>;
template struct Workspace<std::uint8_t>;
template class Flow<float>;
template class Flow<std::uint8_t>;

}  // namespace pyvoc::models::waveglow
