#include "models/fargan/synthesis.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "models/fargan/bytes.h"

namespace pyvoc::models::fargan {
namespace {

constexpr float kLeastGain = 1e-5f;
// exp of it is beyond any that speech needs (at most 1), and keeps samples of any weights finite.
constexpr float kMostLogGain = 8.0f;
constexpr float kSilence[kPriming] = {};

std::size_t size(int n) { return static_cast<std::size_t>(n); }

// x / gain, within -1..1.
void normalize(float unit, float* x, int n) PYVOC_RT {
  for (int i = 0; i < n; ++i) x[i] = std::min(std::max(unit * x[i], -1.0f), 1.0f);
}

float* put(const float* from, int n, float* to) PYVOC_RT {
  std::memcpy(to, from, sizeof(float) * size(n));
  return to + n;
}

}  // namespace

Synthesis::Synthesis(const Config& config, const Weights& weights,
                     const kernels::KernelTable& kernels)
    : config_(config),
      weights_(weights),
      kernels_(kernels),
      conditioning_(config, weights, kernels, arena_) {
  const auto floats = [&](int n) { return arena_.allocate<float>(size(nn::padded(n))); };
  const auto signal = [&](int n) {
    return Signal{floats(n), arena_.allocate<std::uint8_t>(size(nn::padded(n)))};
  };
  const int subframe = config.subframe_inputs();
  int inputs = config.skip_inputs();
  int outputs = std::max({config.fwc, config.skip, kSubframe});
  for (int k = 0; k < kGrus; ++k) {
    gru_[k] = weights.gru[k].gru.make_state(arena_);
    gated_[k] = signal(config.gru[k]);
    inputs = std::max(inputs, config.gru_inputs(k));
    outputs = std::max(outputs, 3 * nn::padded(config.gru[k]));
  }
  for (float*& cond : cond_) cond = floats(kSubframes * config.cond);
  history_ = floats(kHistory);
  block_ = floats(kSubframe);
  prediction_ = floats(kPrediction);
  previous_ = signal(kSubframe);
  past_ = signal(kSubframe);
  subframes_ = signal(subframe + nn::padded(subframe));
  fwc_ = signal(config.fwc);
  inputs_ = signal(inputs);
  skip_ = signal(config.skip);
  sums_ = floats(outputs);
  integers_ = arena_.allocate<std::int32_t>(size(nn::padded(outputs)));
  reset(0);
}

void Synthesis::reset(std::uint64_t /*seed: nothing is drawn*/) PYVOC_RT {
  conditioning_.reset();
  for (int k = 0; k < kGrus; ++k) weights_.gru[k].gru.reset(gru_[k]);
  std::memset(history_, 0, sizeof(float) * kHistory);
  const std::size_t subframe = size(config_.subframe_inputs());
  std::memset(subframes_.x + subframe, 0, sizeof(float) * subframe);
  std::memset(subframes_.u + subframe, kZero, subframe);
  memory_ = 0.0f;
  begun_ = lead_ = false;
}

void Synthesis::prime(const float* samples, Matrix<const float> frames) PYVOC_RT {
  for (int i = 0; i < kPrimingFrames; ++i) {
    conditioning_.process(frames[size(i)].data(), cond_[1]);
  }
  float excitation[kPriming];
  excitation[0] = 0.0f;
  for (int t = 1; t < kPriming; ++t) excitation[t] = samples[t] - kPreemphasis * samples[t - 1];
  put(excitation, kFrameSize, history_ + kHistory - kFrameSize);
  // The first call has this period again, as upstream has it.
  period_[1] = next_period_ = period_of(frames[kPrimingFrames - 2].data());
  subframe_ = kSubframes;
  for (int i = 0; i < kSubframes; ++i) {
    step();
    put(excitation + kFrameSize + i * kSubframe, kSubframe, history_ + kHistory - kSubframe);
  }
  memory_ = samples[kPriming - 1];
  put(frames[kPrimingFrames - 1].data(), kFeatures, last_frame_);
  begun_ = true;
}

void Synthesis::next_call(const float* frame) PYVOC_RT {
  std::swap(cond_[0], cond_[1]);
  period_[0] = period_[1];
  conditioning_.process(frame, cond_[1]);
  period_[1] = next_period_;
  next_period_ = period_of(frame);
  subframe_ -= kSubframes;
}

int Synthesis::begin(const float* frames, int /*n*/) PYVOC_RT {
  if (!begun_) {
    float repeated[kPrimingFrames * kFeatures];
    for (int i = 0; i < kPrimingFrames; ++i) put(frames, kFeatures, repeated + i * kFeatures);
    prime(kSilence, {repeated, kPrimingFrames, kFeatures});
    lead_ = true;
    return 0;
  }
  std::memcpy(last_frame_, frames, sizeof last_frame_);
  next_call(frames);
  for (int i = 0; lead_ && i < kEarly / kSubframe; ++i) step();  // before the signal: not heard
  lead_ = false;
  return 1;
}

int Synthesis::finish(int /*ahead*/) PYVOC_RT {
  float frame[kFeatures];
  put(last_frame_, kFeatures, frame);
  return begin(frame, 1);
}

void Synthesis::begin_subframe() PYVOC_RT {
  const int which = subframe_ / kSubframes, period = period_[which];
  const float* cond = cond_[which] + subframe_ % kSubframes * config_.cond;
  float log_gain[nn::kVector];
  weights_.gain.matrix.run(cond, weights_.gain.bias, log_gain);
  gain_ = std::exp(log_gain[0] < kMostLogGain ? log_gain[0] : kMostLogGain);  // a NaN too
  const float unit = 1.0f / (kLeastGain + gain_);
  int n = 0, at = kHistory - period - 2;
  for (; at < 0; ++at) prediction_[n++] = history_[0];
  while (n < kPrediction) {
    const int run = std::min(kPrediction - n, kHistory - at);
    put(history_ + at, run, prediction_ + n);
    n += run;
    at = kHistory - period;
  }
  put(history_ + kHistory - kSubframe, kSubframe, previous_.x);
  normalize(unit, prediction_, kPrediction);
  normalize(unit, previous_.x, kSubframe);
  const int width = config_.subframe_inputs();
  const Signal now{subframes_.x + width, subframes_.u + width};
  put(now.x, width, subframes_.x);
  std::memcpy(subframes_.u, now.u, size(width));
  float* to = put(cond, config_.cond, now.x);
  put(previous_.x, kSubframe, put(prediction_, kPrediction, to));
  if (!weights_.integer) return;
  to_bytes(kernels_, now.x, width, now.u);
  to_bytes(kernels_, previous_.x, kSubframe, previous_.u);
}

void Synthesis::gate_pitch() PYVOC_RT {
  float logits[nn::kVector];
  weights_.pitch_gates.matrix.run(fwc_.x, weights_.pitch_gates.bias, logits);
  std::fill(pitch_gates_, pitch_gates_ + nn::kVector, 1.0f);
  kernels_.gate_f32(pitch_gates_, logits, kGates);
}

void Synthesis::join(std::initializer_list<Part> parts, int gate) PYVOC_RT {
  constexpr int kAround = (kPrediction - kSubframe) / 2;
  for (int i = 0; i < kSubframe; ++i) past_.x[i] = pitch_gates_[gate] * prediction_[kAround + i];
  if (weights_.integer) to_bytes(kernels_, past_.x, kSubframe, past_.u);
  Signal to = inputs_;
  const auto add = [&](const Signal& from, int n) {
    if (weights_.integer) {
      std::memcpy(to.u, from.u, size(n));
    } else {
      put(from.x, n, to.x);
    }
    to = {to.x + n, to.u + n};
  };
  for (const Part& part : parts) add(*part.signal, part.size);
  add(past_, kSubframe);
  add(previous_, kSubframe);
}

void Synthesis::squash(const DenseLayer& layer, const Signal& y) PYVOC_RT {
  const nn::Linear& matrix = layer.matrix;
  if (matrix.integer()) {
    kernels_.tanh_i32(integers_, matrix.scale(), layer.bias, matrix.outputs(), y.x, y.u);
  } else {
    kernels_.tanh_f32(y.x, matrix.outputs());
  }
}

void Synthesis::gate(const DenseLayer& layer, const float* x, const Signal& y) PYVOC_RT {
  const nn::Linear& matrix = layer.matrix;
  const int n = matrix.outputs();
  if (matrix.integer()) {
    return kernels_.gate_i32(x, integers_, matrix.scale(), layer.bias, n, y.x, y.u);
  }
  if (x != y.x) put(x, n, y.x);
  kernels_.gate_f32(y.x, sums_, n);
}

void Synthesis::end_subframe(const float* y) PYVOC_RT {
  std::memmove(history_, history_ + kSubframe, sizeof(float) * (kHistory - kSubframe));
  float* newest = history_ + kHistory - kSubframe;
  for (int i = 0; i < kSubframe; ++i) {
    newest[i] = gain_ * y[i];
    memory_ = newest[i] + kPreemphasis * memory_;
    block_[i] = std::min(std::max(memory_, -1.0f), 1.0f);
  }
  ++subframe_;
}

void Synthesis::step() PYVOC_RT {
  Synthesis* self = this;
  step(&self, 1);
}

void Synthesis::step(Synthesis* const* sessions, int n) PYVOC_RT {
  const Config& c = sessions[0]->config_;
  const Weights& w = sessions[0]->weights_;
  const kernels::KernelTable& kernels = sessions[0]->kernels_;
  const float* x[kLockstep] = {};
  const float* bias[kLockstep] = {};
  float* y[kLockstep] = {};
  const std::uint8_t* u[kLockstep] = {};
  std::int32_t* integers[kLockstep] = {};
  const nn::GruState* states[kLockstep] = {};
  const auto each = [&](const auto& f) {
    for (int i = 0; i < n; ++i) f(i, *sessions[i]);
  };
  // What session i's next layer reads, and where sums of floats go.
  const auto give = [&](int i, const Signal& input, float* sums) {
    x[i] = input.x;
    u[i] = input.u;
    y[i] = sums;
    integers[i] = sessions[i]->integers_;
  };
  const auto multiply = [&](const DenseLayer& layer) {
    if (layer.matrix.integer()) return layer.matrix.run_many(u, integers, n, {});
    std::fill(bias, bias + n, layer.bias);
    layer.matrix.run_many(x, bias, y, n, {});
  };
  // values = tanh of the layer, multiplied with its gates; what the layer reads was given.
  const auto gated = [&](const GatedLayer& layer, Signal Synthesis::* values) {
    multiply(layer.layer);
    each([&](int i, Synthesis& s) {
      s.squash(layer.layer, s.*values);
      give(i, s.*values, s.sums_);
    });
    multiply(layer.gate);
    each([&](int, Synthesis& s) { s.gate(layer.gate, (s.*values).x, s.*values); });
  };

  each([&](int i, Synthesis& s) {
    s.begin_subframe();
    give(i, s.subframes_, s.fwc_.x);
  });
  gated(w.fwc, &Synthesis::fwc_);
  each([](int, Synthesis& s) { s.gate_pitch(); });
  for (int k = 0; k < kGrus; ++k) {
    const GruLayer& layer = w.gru[k];
    each([&](int i, Synthesis& s) {
      s.join({k == 0 ? Part{&s.fwc_, c.fwc} : Part{&s.gated_[k - 1], c.gru[k - 1]}}, k);
      give(i, s.inputs_, s.sums_);
    });
    multiply(layer.input);
    each([&](int i, Synthesis& s) {
      const nn::Linear& matrix = layer.input.matrix;
      if (matrix.integer()) {
        kernels.scaled_i32(s.integers_, matrix.scale(), 1.0f, layer.input.bias, s.sums_,
                           matrix.outputs());
      }
      const nn::GruState& state = s.gru_[k];
      layer.gru.update(state, s.sums_, nullptr);
      states[i] = &state;
      give(i, {state.h, state.h_u8}, s.sums_);
    });
    layer.gru.multiply_many(states, n, {});  // for the next subframe
    multiply(layer.gate);
    each([&](int, Synthesis& s) { s.gate(layer.gate, s.gru_[k].h, s.gated_[k]); });
  }
  each([&](int i, Synthesis& s) {
    s.join({{&s.gated_[0], c.gru[0]},
            {&s.gated_[1], c.gru[1]},
            {&s.gated_[2], c.gru[2]},
            {&s.fwc_, c.fwc}},
           kGrus);
    give(i, s.inputs_, s.skip_.x);
  });
  gated(w.skip, &Synthesis::skip_);
  // Floats at every precision: rounding this layer's inputs is all that int8 costs in quality.
  each([&](int i, Synthesis& s) { give(i, s.skip_, s.sums_); });
  multiply(w.out);
  each([&](int, Synthesis& s) {
    kernels.tanh_f32(s.sums_, w.out.matrix.outputs());
    s.end_subframe(s.sums_);
  });
}

void Synthesis::call(const float* frame, float* samples) PYVOC_RT {
  next_call(frame);
  for (int i = 0; i < kSubframes; ++i) {
    step();
    put(block_, kSubframe, samples + i * kSubframe);
  }
}

void Synthesis::force(const float* history) PYVOC_RT {
  put(history, kHistory, history_);
  memory_ = 0.0f;
}

void Synthesis::run(int at, float* samples, int count) PYVOC_RT {
  Synthesis* self = this;
  run(&self, &at, &samples, count, 1);
}

void Synthesis::run(Synthesis* const* sessions, const int* at, float* const* samples, int count,
                    int n) PYVOC_RT {
  for (int t = 0; t < count;) {
    Synthesis* due[kLockstep];
    int waiting = 0, most = count - t;
    for (int i = 0; i < n; ++i) {
      const int place = (at[i] + t) % kSubframe;
      if (place == 0) due[waiting++] = sessions[i];
      most = std::min(most, kSubframe - place);
    }
    if (waiting > 0) step(due, waiting);
    for (int i = 0; i < n; ++i) {
      put(sessions[i]->block_ + (at[i] + t) % kSubframe, most, samples[i] + t);
    }
    t += most;
  }
}

}  // namespace pyvoc::models::fargan
