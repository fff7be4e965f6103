#include "models/wavernn/synthesis.h"

#include <algorithm>

namespace pyvoc::models::wavernn {
namespace {

constexpr float kMaxByte = 254.0f;
constexpr float kHalfSum = 63.5f;  // h1 + h2, -2..2, as bytes around 127

std::size_t size(int n) { return static_cast<std::size_t>(n); }

}  // namespace

Synthesis::Synthesis(const Config& config, const Weights& weights,
                     const kernels::KernelTable& kernels, std::uint64_t seed)
    : config_(config),
      weights_(weights),
      kernels_(kernels),
      conditioning_(config, weights, kernels, arena_),
      sampler_(config, weights.amplitudes, kernels, arena_),
      a_(weights.rnn1.make_state(arena_)),
      b_(weights.rnn2.make_state(arena_)) {
  const int widest = std::max(nn::padded(config.rnn), nn::padded(config.fc));
  const int most = std::max({3 * nn::padded(config.rnn), widest, nn::padded(config.outputs)});
  inputs_ = arena_.allocate<float>(size(weights.inputs));
  rnn2_gates_ = arena_.allocate<float>(size(weights.rnn2_input.outputs()));
  hidden_ = arena_.allocate<float>(size(widest));
  other_ = arena_.allocate<float>(size(widest));
  outputs_ = arena_.allocate<float>(size(nn::padded(config.outputs)));
  sums_ = arena_.allocate<std::int32_t>(size(most));
  bytes_ = arena_.allocate<std::uint8_t>(size(widest));
  rows_ = arena_.allocate<const float*>(size(config.taps() + 2));
  row_weights_ = arena_.allocate<float>(size(config.taps() + 2));
  reset(seed);
}

void Synthesis::reset(std::uint64_t seed) PYVOC_RT {
  conditioning_.reset();
  weights_.rnn1.reset(a_);
  weights_.rnn2.reset(b_);
  draws_.reset(seed);
  x_ = 0.0f;
}

// inputs_ = what is constant over the frame + the mel, interpolated + x times its column.
void Synthesis::mix_inputs(int phase, float x) PYVOC_RT {
  const float* phases = weights_.phases + size(phase) * size(config_.taps());
  int n = 0;
  const auto put = [&](const float* row, float weight) {
    rows_[n] = row;
    row_weights_[n++] = weight;
  };
  put(conditioning_.constant(), 1.0f);
  for (int tap = 0; tap < config_.taps(); ++tap) {
    if (phases[tap] != 0.0f) put(conditioning_.product(tap), phases[tap]);
  }
  put(weights_.sample, x);
  kernels_.mix_rows_f32(rows_, row_weights_, n, inputs_, weights_.inputs);
}

// Both GRUs, and their products for the next step.
void Synthesis::run_states() PYVOC_RT {
  const Weights& w = weights_;
  w.rnn1.update(a_, inputs_, nullptr);
  const float* inputs = inputs_ + w.rnn2_at;
  if (w.rnn2_input.integer()) {
    w.rnn2_input.run(a_.h_u8, sums_);
    kernels_.scaled_i32(sums_, w.rnn2_input.scale(), 1.0f, inputs, rnn2_gates_,
                        w.rnn2_input.outputs());
  } else {
    w.rnn2_input.run(a_.h, inputs, rnn2_gates_);
  }
  w.rnn2.update(b_, rnn2_gates_, nullptr);
  w.rnn1.multiply(a_);
  w.rnn2.multiply(b_);
}

void Synthesis::run_outputs() PYVOC_RT {
  const Weights& w = weights_;
  const int n = nn::padded(config_.fc);
  float top = 0.0f;
  w.fc1.run(other_, inputs_ + w.fc1_at, hidden_);
  kernels_.rectify_f32(hidden_, n, &top);
  w.fc2.run(hidden_, conditioning_.fc2_constant(), other_);
  kernels_.rectify_f32(other_, n, &top);
}

// Rectified inputs u stand for u * top / 254, so nothing is to be added for a zero.
void Synthesis::run_outputs_i8() PYVOC_RT {
  const Weights& w = weights_;
  const int n = nn::padded(config_.fc);
  float top = 0.0f;
  kernels_.bytes_f32(other_, kHalfSum, 127.0f, w.rnn1.stride(), bytes_);
  w.fc1.run(bytes_, sums_);
  kernels_.scaled_i32(sums_, w.fc1.scale(), 2.0f, inputs_ + w.fc1_at, hidden_, n);
  kernels_.rectify_f32(hidden_, n, &top);
  const auto quantize = [&](const float* x) {
    kernels_.bytes_f32(x, top > 0.0f ? kMaxByte / top : 0.0f, 0.0f, n, bytes_);
  };
  quantize(hidden_);
  w.fc2.run(bytes_, sums_);
  kernels_.scaled_i32(sums_, w.fc2.scale(), 0.5f * top, conditioning_.fc2_constant(), other_, n);
  kernels_.rectify_f32(other_, n, &top);
  if (!w.fc3.integer()) return;
  quantize(other_);
  w.fc3.run(bytes_, sums_);
  kernels_.scaled_i32(sums_, w.fc3.scale(), 0.5f * top, w.fc3_bias, outputs_, w.fc3.outputs());
}

const float* Synthesis::step(int phase, float x) PYVOC_RT {
  const Weights& w = weights_;
  mix_inputs(phase, x);
  run_states();
  for (int i = 0; i < w.rnn1.stride(); ++i) other_[i] = a_.h[i] + b_.h[i];
  if (w.fc1.integer()) {
    run_outputs_i8();
  } else {
    run_outputs();
  }
  if (!w.fc3.integer()) w.fc3.run(other_, w.fc3_bias, outputs_);
  return outputs_;
}

void Synthesis::run_frame(float* samples) PYVOC_RT {
  for (int i = 0; i < config_.hop_length; ++i) {
    const Drawn drawn = sampler_.draw(step(i, x_), draws_);
    samples[i] = drawn.heard;
    x_ = drawn.fed_back;
  }
}

int Synthesis::process(const float* frame, int /*n: blocks are one frame*/,
                       float* samples) PYVOC_RT {
  if (!begin_frame(frame)) return 0;
  run_frame(samples);
  return 1;
}

}  // namespace pyvoc::models::wavernn
