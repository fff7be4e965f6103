#include "models/hifigan/generator.h"

#include <algorithm>

namespace pyvoc::models::hifigan {

using kernels::ConvInput;
using kernels::ConvOutput;

Generator::Generator(const Config& config, const Weights& weights,
                     const kernels::KernelTable& kernels, int threads)
    : c_(config), w_(weights), kernels_(kernels), team_(threads) {
  start_ = MelStart(arena_, c_.bands, c_.padding);
  std::size_t scratch = 0;
  std::int64_t arriving = kBlockFrames + kEdgeTaps / 2;  // rows that may be appended at a time
  int most = 0;                                          // channels
  stages_.resize(c_.stages.size());
  for (std::size_t k = 0; k < stages_.size(); ++k) {
    make_stage(k, arriving);
    arriving = rows_of(k);
    most = std::max(most, nn::padded(c_.stages[k].outputs));
    for (const std::vector<Block>& chain : w_.stages[k].chains) {
      for (const Block& block : chain) {
        scratch = std::max(scratch, block.first.conv.scratch(team_.threads()));
        if (c_.paired) scratch = std::max(scratch, block.second.conv.scratch(team_.threads()));
      }
    }
  }
  scratch_ = arena_.allocate<float>(scratch);
  share_ = arena_.allocate<float>(static_cast<std::size_t>(most));
  nothing_ = arena_.allocate<float>(static_cast<std::size_t>(most));
  std::fill(share_, share_ + most, 1.0f / static_cast<float>(c_.chains.size()));
  std::fill(nothing_, nothing_ + most, 0.0f);
  end_ = SampleEnd(arena_, c_.width(stages_.size() - 1), c_.padding, arriving,
                   c_.lookahead_frames(), c_.hop_length);
}

// Rows that a layer of stage k may hold at a time, but for its own reach: a slice's, those that
// the layers before it held back until the end, and what waits for the rest of its frame.
std::int64_t Generator::rows_of(std::size_t k) const {
  const Stage& stage = c_.stages[k];
  std::int64_t held = 0, layers = 0;
  for (std::size_t j = 0; j < c_.chains.size(); ++j) {
    const std::size_t blocks = c_.chains[j].dilations.size();
    held = std::max<std::int64_t>(held,
                                  c_.grid(k, j, blocks - 1, c_.paired).delay - c_.up_grid(k).delay);
    layers =
        std::max<std::int64_t>(layers, static_cast<std::int64_t>(blocks) * (c_.paired ? 2 : 1));
  }
  return stage.ratio * (stages_[k].slice + stage.neighbours()) + held + layers * c_.up_grid(k).rows;
}

void Generator::make_stage(std::size_t k, std::int64_t arriving) {
  const Stage& stage = c_.stages[k];
  const StageWeights& weights = w_.stages[k];
  StageState& s = stages_[k];
  const int channels = c_.width(k);
  const std::int64_t bytes = static_cast<std::int64_t>(sizeof(float)) * channels * stage.ratio;
  s.slice = std::min(std::max<std::int64_t>(kSliceBytes / bytes, 1), arriving);
  const int before = stage.neighbours() - 1;
  s.input = LayerRows(arena_, nn::padded(stage.inputs), before, nn::Padding::kZero, 0,
                      arriving + 2 * before, weights.up_input);
  const std::int64_t rows = rows_of(k);
  int reach = 0;
  for (const auto& chain : weights.chains) reach = std::max(reach, chain[0].first.conv.reach());
  s.value = nn::Rows<float>(arena_, channels, 0, c_.padding, stage.cut, rows + 2 * reach, nullptr);
  std::size_t shared = c_.chains.size();
  for (const auto& chain : weights.chains) {
    const Quantization& input = chain[0].first.input;
    const bool floats = input.zero == nullptr;
    if (floats && shared < s.entries.size()) {
      s.entry_of.push_back(shared);
      continue;
    }
    if (floats) shared = s.entries.size();
    s.entry_of.push_back(s.entries.size());
    s.entries.emplace_back(arena_, channels, floats ? reach : chain[0].first.conv.reach(),
                           c_.padding, stage.cut, rows + 4 * reach, input);
  }
  s.chains.resize(c_.chains.size());
  for (std::size_t j = 0; j < s.chains.size(); ++j) {
    ChainState& chain = s.chains[j];
    chain.blocks.resize(c_.chains[j].dilations.size());
    for (std::size_t i = 0; i < chain.blocks.size(); ++i) {
      const Block& block = weights.chains[j][i];
      BlockState& state = chain.blocks[i];
      const int first = block.first.conv.reach();
      int second = 0;
      if (c_.paired) {
        second = block.second.conv.reach();
        state.hidden = LayerRows(arena_, c_.hidden_width(k), second, c_.padding, 0,
                                 rows + 2 * second, block.second.input);
      }
      if (i == 0) continue;
      state.value =
          nn::Rows<float>(arena_, channels, 0, c_.padding, 0, rows + first + second, nullptr);
      state.active =
          LayerRows(arena_, channels, first, c_.padding, 0, rows + 2 * first, block.first.input);
    }
    // Chains of less reach are ahead of the others.
    chain.result = nn::Rows<float>(arena_, channels, 0, c_.padding, 0, 2 * rows, nullptr);
  }
}

void Generator::reset() PYVOC_RT {
  start_.reset();
  end_.reset();
  for (StageState& stage : stages_) {
    stage.input.reset();
    stage.value.reset();
    stage.windows = stage.averaged = 0;
    for (LayerRows& entry : stage.entries) entry.reset();
    for (ChainState& chain : stage.chains) {
      chain.result.reset();
      for (BlockState& block : chain.blocks) {
        block.value.reset();
        block.active.reset();
        block.hidden.reset();
        block.first_done = block.done = 0;
      }
    }
  }
}

ConvOutput Generator::output() const PYVOC_RT {
  ConvOutput out;
  out.leak = c_.leak;
  return out;
}

void Generator::push(const float* frames, int n, bool ended) PYVOC_RT {
  start_.take(frames, n, [&](int b, float x) { return (x - w_.mean[b]) * w_.scale[b]; });
  ConvInput<float> in;
  const std::int64_t rows = start_.next(ended, in);
  if (rows > 0) {
    const Timed timed(groups_, 0);
    LayerRows& next = stages_[0].input;
    const std::int64_t end = next.end();
    ConvOutput out = output();
    next.take_rectified(out, end);
    w_.conv_in.run(team_, in, static_cast<int>(rows), out);
    next.extend_to(end + rows);
    if (seen_ != nullptr) next.note(end, end + rows, c_.channels, (*seen_)[0].up);
    start_.computed(rows);
  }
  run_stage(0, ended);
}

void Generator::run_stage(std::size_t k, bool ended) PYVOC_RT {
  StageState& s = stages_[k];
  for (;;) {
    const std::int64_t rows = s.input.end() - s.windows;
    const std::int64_t slice = std::min(rows, s.slice);
    const bool last = ended && slice == rows;
    upsample(k, slice, last);
    for (std::size_t j = 0; j < s.chains.size(); ++j) run_chain(k, j, last);
    average(k, last);
    if (k + 1 < stages_.size()) {
      run_stage(k + 1, last);
    } else {
      const Timed timed(groups_, 1 + 2 * stages_.size());
      end_.run(w_.conv_out, kernels_, team_, last);
    }
    if (slice == rows) return;
  }
}

// Every window of neighbouring rows gives `ratio` rows; the first `cut` are lost, and what the
// windows behind the last row give completes the length.
void Generator::upsample(std::size_t k, std::int64_t rows, bool ended) PYVOC_RT {
  StageState& s = stages_[k];
  const Stage& stage = c_.stages[k];
  const int before = stage.neighbours() - 1;
  const std::int64_t ready = s.input.ready_windows(ended);
  const std::int64_t windows = std::min(ready - s.windows, rows + (ended ? before : 0));
  if (windows <= 0) return;
  const Timed timed(groups_, 1 + 2 * k);
  const std::int64_t from = stage.ratio * s.windows - stage.cut;
  const std::int64_t first = std::max<std::int64_t>(from, 0);
  ConvOutput out = output();
  out.value = s.value.row(from);
  for (LayerRows& entry : s.entries) {
    if (!entry.integer()) entry.take_rectified(out, from);
  }
  s.input.visit([&](const auto& rows_in) {
    w_.stages[k].up.run(
        team_,
        side_by_side(rows_in, s.windows - before, stage.neighbours(), nn::padded(stage.inputs)),
        static_cast<int>(windows), out);
  });
  s.windows += windows;
  const std::int64_t until =
      std::max(std::min(stage.ratio * s.windows - stage.cut, stage.ratio * s.input.end()), first);
  s.value.extend_to(until);
  for (LayerRows& entry : s.entries) {
    if (entry.integer()) {
      ConvOutput bytes = output();
      entry.take_rectified(bytes, first);
      finish(k, s.value.row(first), until - first, bytes);
    }
    entry.extend_to(until);
  }
  if (seen_ != nullptr) {
    for (std::size_t j = 0; j < s.chains.size(); ++j) {
      s.entry(j).note(first, until, stage.outputs, (*seen_)[k].chains[j][0].first);
    }
  }
  s.input.drop_before(s.windows - before);
}

void Generator::run_chain(std::size_t k, std::size_t j, bool ended) PYVOC_RT {
  const Timed timed(groups_, 2 + 2 * k);
  for (std::size_t i = 0; i < c_.chains[j].dilations.size(); ++i) run_block(k, j, i, ended);
}

void Generator::run_block(std::size_t k, std::size_t j, std::size_t i, bool ended) PYVOC_RT {
  StageState& s = stages_[k];
  BlockState& state = s.chains[j].blocks[i];
  const Block& block = w_.stages[k].chains[j][i];
  LayerRows& in = i == 0 ? s.entry(j) : state.active;
  const nn::DilatedConv& first = block.first.conv;
  const std::int64_t until = first.until(in.ready(ended, first.reach()), ended);
  if (!c_.paired) {
    if (until > state.done) close_block(k, j, i, block.first, in, until);
    if (i > 0) in.drop_before(state.done - first.reach());
    return;
  }
  if (until > state.first_done) {
    ConvOutput hidden = output();
    state.hidden.take_rectified(hidden, state.first_done);
    convolve(block.first, in, state.first_done, until, hidden);
    state.hidden.extend_to(until);
    if (seen_ != nullptr) {
      state.hidden.note(state.first_done, until, c_.stages[k].hidden,
                        (*seen_)[k].chains[j][i].second);
    }
    state.first_done = until;
    if (i > 0) in.drop_before(until - first.reach());
  }
  const nn::DilatedConv& second = block.second.conv;
  const std::int64_t end = second.until(state.hidden.ready(ended, second.reach()), ended);
  if (end <= state.done) return;
  close_block(k, j, i, block.second, state.hidden, end);
  state.hidden.drop_before(state.done - second.reach());
}

void Generator::close_block(std::size_t k, std::size_t j, std::size_t i, const Layer& layer,
                            LayerRows& in, std::int64_t until) PYVOC_RT {
  StageState& s = stages_[k];
  ChainState& chain = s.chains[j];
  BlockState& state = chain.blocks[i];
  nn::Rows<float>& residual = i == 0 ? s.value : state.value;
  ConvOutput out = output();
  out.add = residual.row(state.done);
  if (i + 1 == chain.blocks.size()) {
    out.value = chain.result.row(state.done);
    convolve(layer, in, state.done, until, out);
    chain.result.extend_to(until);
  } else {
    BlockState& next = chain.blocks[i + 1];
    out.value = next.value.row(state.done);
    next.active.take_rectified(out, state.done);
    convolve(layer, in, state.done, until, out);
    next.value.extend_to(until);
    next.active.extend_to(until);
    if (seen_ != nullptr) {
      next.active.note(state.done, until, c_.stages[k].outputs, (*seen_)[k].chains[j][i + 1].first);
    }
  }
  state.done = until;
  if (i > 0) residual.drop_before(until);
}

void Generator::convolve(const Layer& layer, LayerRows& in, std::int64_t from, std::int64_t until,
                         const ConvOutput& out) PYVOC_RT {
  in.visit([&](const auto& rows) { layer.conv.run(team_, rows, from, until, out, scratch_); });
}

// What convolutions do with a row of sums, with sums that are there.
void Generator::finish(std::size_t k, const float* sums, std::int64_t rows,
                       ConvOutput out) PYVOC_RT {
  const bool narrow = c_.narrow(k);
  const int panels = narrow ? 1 : c_.width(k) / nn::kVector;
  out.stride = panels * nn::kVector;
  out.bias = nothing_;
  kernels_.conv_finish_f32(sums, panels, static_cast<std::int32_t>(narrow ? (rows + 1) / 2 : rows),
                           out);
}

// The mean of the chains as far as all have come, and what no chain needs any more is dropped.
void Generator::average(std::size_t k, bool ended) PYVOC_RT {
  const Timed timed(groups_, 2 + 2 * k);
  StageState& s = stages_[k];
  std::int64_t until = s.chains[0].result.end();
  for (const ChainState& chain : s.chains) until = std::min(until, chain.result.end());
  const std::int64_t from = s.averaged;
  // Narrow rows are done in pairs, and the row after an odd number may be another chain's already.
  if (c_.narrow(k) && !ended) until -= (until - from) % 2;
  if (until > from) {
    float* sum = s.chains[0].result.row(from);
    for (std::size_t j = 0; j < s.chains.size(); ++j) {
      ConvOutput out = output();
      out.scale = share_;
      out.add = j == 0 ? nullptr : sum;
      if (j + 1 < s.chains.size()) {
        out.value = sum;
      } else if (k + 1 < stages_.size()) {
        stages_[k + 1].input.take_rectified(out, from);
      } else {
        out.leak = c_.last_leak;
        out.active = end_.input().row(from);
      }
      finish(k, s.chains[j].result.row(from), until - from, out);
    }
    if (k + 1 < stages_.size()) {
      LayerRows& next = stages_[k + 1].input;
      next.extend_to(until);
      if (seen_ != nullptr) next.note(from, until, c_.stages[k].outputs, (*seen_)[k + 1].up);
    } else {
      end_.input().extend_to(until);
    }
    s.averaged = until;
    for (ChainState& chain : s.chains) chain.result.drop_before(until);
  }
  if (s.value.end() == 0) return;  // rows that are cut may still be written
  std::int64_t summed = s.value.end();
  for (const ChainState& chain : s.chains) summed = std::min(summed, chain.blocks[0].done);
  s.value.drop_before(summed);
  for (std::size_t e = 0; e < s.entries.size(); ++e) {
    std::int64_t needed = s.entries[e].end();
    for (std::size_t j = 0; j < s.chains.size(); ++j) {
      if (s.entry_of[j] != e) continue;
      const BlockState& first = s.chains[j].blocks[0];
      needed = std::min(needed, (c_.paired ? first.first_done : first.done) -
                                    w_.stages[k].chains[j][0].first.conv.reach());
    }
    s.entries[e].drop_before(needed);
  }
}

}  // namespace pyvoc::models::hifigan
