#include "models/melgan/generator.h"

#include <algorithm>

namespace pyvoc::models::melgan {

using kernels::ConvInput;
using kernels::ConvOutput;

Generator::Generator(const Config& config, const Weights& weights,
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
    const std::int64_t bytes = (w_.integer ? 1 : 4) * std::int64_t{channels} * stage.ratio;
    s.slice = std::min(std::max<std::int64_t>(kSliceBytes / bytes, 1), arriving);
    s.input = LayerRows(arena_, nn::padded(stage.inputs), 1, nn::Padding::kZero, 0, arriving + 2,
                        w_.stages[k].up_input);
    // A block's convolution may wait for the rest of its frame.
    const std::int64_t waiting =
        static_cast<std::int64_t>(c_.dilations.size()) * c_.grid(k, 0).rows;
    const std::int64_t rows = stage.ratio * (s.slice + 1) + reach + waiting;
    s.hidden = arena_.allocate<float>(static_cast<std::size_t>((rows + 32) * channels));
    s.blocks.resize(c_.dilations.size());
    for (std::size_t j = 0; j < s.blocks.size(); ++j) {
      const int dilation = c_.dilations[j];
      const Block& block = w_.stages[k].blocks[j];
      scratch = std::max(scratch, block.conv.scratch(team_.threads()));
      s.blocks[j].active = LayerRows(arena_, channels, dilation, c_.padding, stage.cut(),
                                     rows + 2 * dilation, block.conv_input);
      s.blocks[j].value = LayerRows(arena_, channels, 0, c_.padding, stage.cut(), rows + dilation,
                                    block.shortcut_input);
    }
    arriving = rows;
  }
  scratch_ = arena_.allocate<float>(scratch);
  end_ = SampleEnd(arena_, nn::padded(c_.stages.back().outputs), c_.padding, arriving,
                   c_.lookahead_frames(), c_.hop_length);
}

void Generator::reset() PYVOC_RT {
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

ConvOutput Generator::output() const PYVOC_RT {
  ConvOutput out;
  out.leak = c_.leak;
  return out;
}

void Generator::note_input(std::size_t k, std::int64_t rows) PYVOC_RT {
  if (seen_ == nullptr) return;
  LayerRows& input = stages_[k].input;
  input.note(input.end(), input.end() + rows, c_.stages[k].inputs, (*seen_)[k].up);
}

void Generator::note_block(std::size_t k, std::size_t j, std::int64_t from,
                           std::int64_t until) PYVOC_RT {
  if (seen_ == nullptr) return;
  const std::int64_t first = std::max<std::int64_t>(from, 0);
  const int channels = c_.stages[k].outputs;
  const BlockActivations& seen = (*seen_)[k].blocks[j];
  BlockState& state = stages_[k].blocks[j];
  state.value.note(first, until, channels, seen.shortcut);
  state.active.note(first, until, channels, seen.conv);
}

void Generator::push(const float* frames, int n, bool ended) PYVOC_RT {
  start_.take(frames, n,
              [&](int /*band*/, float x) { return x * c_.input_scale + c_.input_shift; });
  ConvInput<float> in;
  const std::int64_t rows = start_.next(ended, in);
  if (rows > 0) {
    const Timed timed(groups_, 0);
    LayerRows& next = stages_[0].input;
    ConvOutput out = output();
    next.take_rectified(out, next.end());
    w_.conv_in.run(team_, in, static_cast<int>(rows), out);
    note_input(0, rows);
    next.extend_to(next.end() + rows);
    start_.computed(rows);
  }
  run_stage(0, ended);
}

void Generator::run_stage(std::size_t k, bool ended) PYVOC_RT {
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
void Generator::upsample(std::size_t k, std::int64_t rows, bool ended) PYVOC_RT {
  StageState& s = stages_[k];
  const Stage& stage = c_.stages[k];
  const std::int64_t ready = s.input.ready_windows(ended);
  const std::int64_t pairs = std::min(ready - s.pairs, rows + (ended ? 1 : 0));
  if (pairs <= 0) return;
  const Timed timed(groups_, 1 + 2 * k);
  BlockState& first = s.blocks[0];
  const std::int64_t from = stage.ratio * s.pairs - stage.cut();
  ConvOutput out = output();
  first.value.take_values(out, from);
  first.active.take_rectified(out, from);
  s.input.visit([&](const auto& rows_in) {
    w_.stages[k].up.run(team_, side_by_side(rows_in, s.pairs - 1, 2, nn::padded(stage.inputs)),
                        static_cast<int>(pairs), out);
  });
  s.pairs += pairs;
  const std::int64_t until =
      std::min(stage.ratio * s.pairs - stage.cut(), stage.ratio * s.input.end());
  first.value.extend_to(until);
  first.active.extend_to(until);
  note_block(k, 0, from, until);
  s.input.drop_before(s.pairs - 1);
}

void Generator::run_block(std::size_t k, std::size_t j, bool ended) PYVOC_RT {
  StageState& s = stages_[k];
  BlockState& state = s.blocks[j];
  const Block& block = w_.stages[k].blocks[j];
  const int channels = nn::padded(c_.stages[k].outputs);
  const std::int64_t until = block.conv.until(state.active.ready(ended, block.conv.reach()), ended);
  const std::int64_t rows = until - state.done;
  if (rows <= 0) return;
  const Timed timed(groups_, 2 + 2 * k);

  ConvOutput hidden = output();
  rectify_into(s.hidden, block.out_input, hidden);
  state.active.visit([&](const auto& active) {
    block.conv.run(team_, active, state.done, until, hidden, scratch_);
  });
  if (seen_ != nullptr) {
    add_rows(s.hidden, rows, channels, c_.stages[k].outputs, (*seen_)[k].blocks[j].out);
  }

  ConvOutput out = output();
  const std::int64_t from = state.done;
  if (j + 1 < s.blocks.size()) {
    BlockState& next = s.blocks[j + 1];
    next.value.take_values(out, from);
    next.active.take_rectified(out, from);
    mix(k, j, static_cast<int>(rows), out);
    next.value.extend_to(until);
    next.active.extend_to(until);
    note_block(k, j + 1, from, until);
  } else if (k + 1 < stages_.size()) {
    LayerRows& next = stages_[k + 1].input;
    next.take_rectified(out, from);
    mix(k, j, static_cast<int>(rows), out);
    note_input(k + 1, rows);
    next.extend_to(until);
  } else {
    out.active = end_.input().row(from);
    mix(k, j, static_cast<int>(rows), out);
    end_.input().extend_to(until);
  }
  state.done = until;
  state.active.drop_before(until - c_.dilations[j]);
  state.value.drop_before(until);
}

// What ends a block: the two 1 x 1 convolutions, of what lies in `hidden` and of its input.
void Generator::mix(std::size_t k, std::size_t j, int rows, const ConvOutput& out) PYVOC_RT {
  StageState& s = stages_[k];
  BlockState& state = s.blocks[j];
  const int channels = nn::padded(c_.stages[k].outputs);
  state.value.visit([&](const auto& value) {
    auto sum = side_by_side(value, state.done, 1, channels);
    const auto* values = sum.base[0];
    sum.segments = 2;
    sum.base[0] = reinterpret_cast<decltype(values)>(s.hidden);
    sum.base[1] = values;
    sum.stride[1] = sum.cols[1] = channels;
    w_.stages[k].blocks[j].mix.run(team_, sum, rows, out);
  });
}

}  // namespace pyvoc::models::melgan
