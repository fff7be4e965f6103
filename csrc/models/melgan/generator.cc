#include "models/melgan/generator.h"

#include <algorithm>

namespace pyvoc::models::melgan {
namespace {

using kernels::ConvInput;
using kernels::ConvOutput;

// Where a layer's values and rectified values go.
void to_value(ConvOutput& out, float* rows, const Quantization&) { out.value = rows; }
void to_value(ConvOutput& out, std::uint8_t* rows, const Quantization& q) {
  out.value_u8 = rows;
  out.value_inverse = q.inverse;
  out.value_offset = q.offset;
}
}  // namespace

template <typename X>
Generator<X>::Generator(const Config& config, const Weights& weights,
                        const kernels::KernelTable& kernels, int threads)
    : c_(config), w_(weights), kernels_(kernels), team_(threads) {
  start_ = MelStart(arena_, c_.bands, c_.padding);
  int reach = 0;  // rows that a stage holds back until the end
  for (const int dilation : c_.dilations) reach += dilation;
  std::size_t scratch = 0;
  std::int64_t arriving = kBlockFrames + kEdgeTaps / 2;  // rows that may be appended at a time
  stages_.resize(c_.stages.size());
  for (std::size_t k = 0; k < stages_.size(); ++k) {
    const Stage& stage = c_.stages[k];
    StageState& s = stages_[k];
    const int channels = nn::padded(stage.outputs);
    const std::int64_t bytes = static_cast<std::int64_t>(sizeof(X)) * channels * stage.ratio;
    s.slice = std::min(std::max<std::int64_t>(kSliceBytes / bytes, 1), arriving);
    s.input = nn::Rows<X>(arena_, nn::padded(stage.inputs), 1, nn::Padding::kZero, 0, arriving + 2,
                          zero_of(w_.stages[k].up_input, X{}));
    // A block's convolution may wait for the rest of its frame.
    const std::int64_t waiting =
        static_cast<std::int64_t>(c_.dilations.size()) * c_.grid(k, 0).rows;
    const std::int64_t rows = stage.ratio * (s.slice + 1) + reach + waiting;
    s.hidden = arena_.allocate<X>(static_cast<std::size_t>((rows + 32) * channels));
    s.blocks.resize(c_.dilations.size());
    for (std::size_t j = 0; j < s.blocks.size(); ++j) {
      const int dilation = c_.dilations[j];
      const Block& block = w_.stages[k].blocks[j];
      scratch = std::max(scratch, block.conv.scratch(team_.threads()));
      s.blocks[j].active = nn::Rows<X>(arena_, channels, dilation, c_.padding, stage.cut(),
                                       rows + 2 * dilation, zero_of(block.conv_input, X{}));
      s.blocks[j].value =
          nn::Rows<X>(arena_, channels, 0, c_.padding, stage.cut(), rows + dilation, nullptr);
    }
    arriving = rows;
  }
  scratch_ = arena_.allocate<float>(scratch);
  end_ = SampleEnd(arena_, c_.stages.back().outputs, c_.padding, arriving, c_.lookahead_frames(),
                   c_.hop_length);
}

template <typename X>
void Generator<X>::reset() PYVOC_RT {
  start_.reset();
  end_.reset();
  for (StageState& stage : stages_) {
    stage.input.reset();
    stage.pairs = 0;
    for (BlockState& block : stage.blocks) {
      block.active.reset();
      block.value.reset();
      block.done = 0;
    }
  }
}

template <typename X>
ConvOutput Generator<X>::output() const PYVOC_RT {
  ConvOutput out;
  out.leak = c_.leak;
  return out;
}

template <typename X>
void Generator<X>::note_input(std::size_t k, std::int64_t rows) PYVOC_RT {
  if (seen_ == nullptr) return;
  const nn::Rows<X>& input = stages_[k].input;
  const int channels = c_.stages[k].inputs;
  add_rows(input.row(input.end()), rows, nn::padded(channels), channels, (*seen_)[k].up);
}

template <typename X>
void Generator<X>::note_block(std::size_t k, std::size_t j, std::int64_t from,
                              std::int64_t until) PYVOC_RT {
  if (seen_ == nullptr) return;
  const std::int64_t first = std::max<std::int64_t>(from, 0);
  const int channels = c_.stages[k].outputs;
  const BlockActivations& seen = (*seen_)[k].blocks[j];
  const BlockState& state = stages_[k].blocks[j];
  const std::int64_t n = until - first;
  add_rows(state.value.row(first), n, nn::padded(channels), channels, seen.shortcut);
  add_rows(state.active.row(first), n, nn::padded(channels), channels, seen.conv);
}

template <typename X>
void Generator<X>::push(const float* frames, int n, bool ended) PYVOC_RT {
  start_.take(frames, n,
              [&](int /*band*/, float x) { return x * c_.input_scale + c_.input_shift; });
  ConvInput<float> in;
  const std::int64_t rows = start_.next(ended, in);
  if (rows > 0) {
    const Timed timed(groups_, 0);
    nn::Rows<X>& next = stages_[0].input;
    ConvOutput out = output();
    to_active(out, next.row(next.end()), w_.stages[0].up_input);
    w_.conv_in.run(team_, in, static_cast<int>(rows), out);
    note_input(0, rows);
    next.extend_to(next.end() + rows);
    start_.computed(rows);
  }
  run_stage(0, ended);
}

template <typename X>
void Generator<X>::run_stage(std::size_t k, bool ended) PYVOC_RT {
  StageState& s = stages_[k];
  for (;;) {
    const std::int64_t rows = s.input.end() - s.pairs;
    const std::int64_t slice = std::min(rows, s.slice);
    const bool last = ended && slice == rows;
    upsample(k, slice, last);
    for (std::size_t j = 0; j < s.blocks.size(); ++j) run_block(k, j, last);
    if (k + 1 < stages_.size()) {
      run_stage(k + 1, last);
    } else {
      const Timed timed(groups_, 1 + 2 * stages_.size());
      end_.run(w_.conv_out, kernels_, team_, last);
    }
    if (slice == rows) return;
  }
}

// Every pair of neighbouring rows gives `ratio` rows; the first `cut` are lost, and what the pair
// behind the last row gives completes the length.
template <typename X>
void Generator<X>::upsample(std::size_t k, std::int64_t rows, bool ended) PYVOC_RT {
  StageState& s = stages_[k];
  const Stage& stage = c_.stages[k];
  const std::int64_t ready = s.input.ready_windows(ended);
  const std::int64_t pairs = std::min(ready - s.pairs, rows + (ended ? 1 : 0));
  if (pairs <= 0) return;
  const Timed timed(groups_, 1 + 2 * k);
  ConvInput<X> in;
  in.segments = 1;
  in.base[0] = s.input.row(s.pairs - 1);
  in.stride[0] = nn::padded(stage.inputs);
  in.cols[0] = 2 * nn::padded(stage.inputs);
  BlockState& first = s.blocks[0];
  const Block& block = w_.stages[k].blocks[0];
  const std::int64_t from = stage.ratio * s.pairs - stage.cut();
  ConvOutput out = output();
  to_value(out, first.value.row(from), block.shortcut_input);
  to_active(out, first.active.row(from), block.conv_input);
  w_.stages[k].up.run(team_, in, static_cast<int>(pairs), out);
  s.pairs += pairs;
  const std::int64_t until =
      std::min(stage.ratio * s.pairs - stage.cut(), stage.ratio * s.input.end());
  first.value.extend_to(until);
  first.active.extend_to(until);
  note_block(k, 0, from, until);
  s.input.drop_before(s.pairs - 1);
}

template <typename X>
void Generator<X>::run_block(std::size_t k, std::size_t j, bool ended) PYVOC_RT {
  StageState& s = stages_[k];
  BlockState& state = s.blocks[j];
  const Block& block = w_.stages[k].blocks[j];
  const int channels = nn::padded(c_.stages[k].outputs);
  const std::int64_t until = block.conv.until(state.active.ready(ended), ended);
  const std::int64_t rows = until - state.done;
  if (rows <= 0) return;
  const Timed timed(groups_, 2 + 2 * k);

  ConvOutput hidden = output();
  to_active(hidden, s.hidden, block.out_input);
  block.conv.run(team_, state.active, state.done, until, hidden, scratch_);
  if (seen_ != nullptr) {
    add_rows(s.hidden, rows, channels, c_.stages[k].outputs, (*seen_)[k].blocks[j].out);
  }

  ConvInput<X> sum;
  sum.segments = 2;
  sum.base[0] = s.hidden;
  sum.base[1] = state.value.row(state.done);
  sum.stride[0] = sum.stride[1] = sum.cols[0] = sum.cols[1] = channels;
  ConvOutput out = output();
  if (j + 1 < s.blocks.size()) {
    BlockState& next = s.blocks[j + 1];
    const Block& next_block = w_.stages[k].blocks[j + 1];
    to_value(out, next.value.row(state.done), next_block.shortcut_input);
    to_active(out, next.active.row(state.done), next_block.conv_input);
    block.mix.run(team_, sum, static_cast<int>(rows), out);
    next.value.extend_to(state.done + rows);
    next.active.extend_to(state.done + rows);
    note_block(k, j + 1, state.done, state.done + rows);
  } else if (k + 1 < stages_.size()) {
    nn::Rows<X>& next = stages_[k + 1].input;
    to_active(out, next.row(state.done), w_.stages[k + 1].up_input);
    block.mix.run(team_, sum, static_cast<int>(rows), out);
    note_input(k + 1, rows);
    next.extend_to(state.done + rows);
  } else {
    out.active = end_.input().row(state.done);
    block.mix.run(team_, sum, static_cast<int>(rows), out);
    end_.input().extend_to(state.done + rows);
  }
  state.done += rows;
  state.active.drop_before(state.done - c_.dilations[j]);
  state.value.drop_before(state.done);
}

template class Generator<float>;
template class Generator<std::uint8_t>;

}  // namespace pyvoc::models::melgan
