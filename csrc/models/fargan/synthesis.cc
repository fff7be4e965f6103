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
  int inputs = std::max(2 * config.subframe_inputs(), config.skip_inputs());
  int outputs = std::max({config.fwc, config.skip, kSubframe});
  for (int k = 0; k < kGrus; ++k) {
    gru_[k] = weights.gru[k].gru.make_state(arena_);
    gated_[k] = floats(config.gru[k]);
    inputs = std::max(inputs, config.gru_inputs(k));
    outputs = std::max(outputs, 3 * nn::padded(config.gru[k]));
  }
  for (float*& cond : cond_) cond = floats(kSubframes * config.cond);
  history_ = floats(kHistory);
  block_ = floats(kSubframe);
  prediction_ = floats(kPrediction);
  previous_ = floats(kSubframe);
  subframes_ = floats(2 * config.subframe_inputs());
  fwc_ = floats(config.fwc);
  inputs_ = floats(inputs);
  skip_ = floats(config.skip);
  sums_ = floats(outputs);
  integers_ = arena_.allocate<std::int32_t>(size(nn::padded(outputs)));
  bytes_ = arena_.allocate<std::uint8_t>(size(nn::padded(inputs)));
  reset(0);
}

void Synthesis::reset(std::uint64_t /*seed: nothing is drawn*/) PYVOC_RT {
  conditioning_.reset();
  for (int k = 0; k < kGrus; ++k) weights_.gru[k].gru.reset(gru_[k]);
  std::memset(history_, 0, sizeof(float) * kHistory);
  std::memset(subframes_, 0, sizeof(float) * size(2 * config_.subframe_inputs()));
  memory_ = 0.0f;
  frames_ = 0;
}

void Synthesis::prime(const float* samples, const float* frames) PYVOC_RT {
  for (int i = 0; i < kPrimingFrames; ++i) {
    conditioning_.process(frames + i * kFeatures, cond_[1]);
  }
  float excitation[kPriming];
  excitation[0] = 0.0f;
  for (int t = 1; t < kPriming; ++t) excitation[t] = samples[t] - kPreemphasis * samples[t - 1];
  put(excitation, kFrameSize, history_ + kHistory - kFrameSize);
  // The first call has this period again, as upstream has it.
  period_[1] = next_period_ = period_of(frames + (kPrimingFrames - 2) * kFeatures);
  subframe_ = kSubframes;
  for (int i = 0; i < kSubframes; ++i) {
    step();
    put(excitation + kFrameSize + i * kSubframe, kSubframe, history_ + kHistory - kSubframe);
  }
  memory_ = samples[kPriming - 1];
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
  std::memcpy(last_frame_, frames, sizeof last_frame_);
  if (++frames_ == 1) {
    float repeated[kPrimingFrames * kFeatures];
    for (int i = 0; i < kPrimingFrames; ++i) put(frames, kFeatures, repeated + i * kFeatures);
    prime(kSilence, repeated);
    return 0;
  }
  next_call(frames);
  if (frames_ > kLookahead) return 1;
  for (int i = 0; i < kSubframes / 2; ++i) step();  // before the first frame's centre: not heard
  return 0;
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
  const auto past = [&](int at) {
    return std::min(std::max(unit * history_[std::max(at, 0)], -1.0f), 1.0f);
  };
  int at = kHistory - period - 2;
  for (int i = 0; i < kPrediction; ++i, ++at) {
    if (at == kHistory) at -= period;
    prediction_[i] = past(at);
  }
  for (int i = 0; i < kSubframe; ++i) previous_[i] = past(kHistory - kSubframe + i);
  const int n = config_.subframe_inputs();
  put(subframes_ + n, n, subframes_);
  float* to = put(cond, config_.cond, subframes_ + n);
  put(previous_, kSubframe, put(prediction_, kPrediction, to));
}

void Synthesis::gate_pitch() PYVOC_RT {
  weights_.pitch_gates.matrix.run(fwc_, weights_.pitch_gates.bias, pitch_gates_);
  for (float& gate : pitch_gates_) gate = 1.0f / (1.0f + std::exp(-gate));
}

float* Synthesis::put_past(int gate, float* to) PYVOC_RT {
  constexpr int kAround = (kPrediction - kSubframe) / 2;
  for (int i = 0; i < kSubframe; ++i) to[i] = pitch_gates_[gate] * prediction_[kAround + i];
  return put(previous_, kSubframe, to + kSubframe);
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
  // What session i's next layer reads [width], and where its sums go.
  const auto give = [&](int i, Synthesis& s, const float* input, int width, float* sums) {
    x[i] = input;
    y[i] = sums;
    integers[i] = s.integers_;
    if (!w.integer) return;
    to_bytes(kernels, input, width, s.bytes_);
    u[i] = s.bytes_;
  };
  const auto multiply = [&](const DenseLayer& layer) {
    const nn::Linear& matrix = layer.matrix;
    if (!matrix.integer()) {
      std::fill(bias, bias + n, layer.bias);
      return matrix.run_many(x, bias, y, n, {});
    }
    matrix.run_many(u, integers, n, {});
    for (int i = 0; i < n; ++i) {
      kernels.scaled_i32(integers[i], matrix.scale(), 1.0f, layer.bias, y[i], matrix.outputs());
    }
  };
  // values = tanh(layer), multiplied with its gates; what the layer reads was given.
  const auto gated = [&](const GatedLayer& layer, int width, const auto& values) {
    multiply(layer.layer);
    each([&](int i, Synthesis& s) {
      kernels.tanh_f32(values(s), nn::padded(width));
      give(i, s, values(s), width, s.sums_);
    });
    multiply(layer.gate);
    each([&](int, Synthesis& s) { kernels.gate_f32(values(s), s.sums_, nn::padded(width)); });
  };

  each([&](int i, Synthesis& s) {
    s.begin_subframe();
    give(i, s, s.subframes_, 2 * c.subframe_inputs(), s.fwc_);
  });
  gated(w.fwc, c.fwc, [](Synthesis& s) { return s.fwc_; });
  each([](int, Synthesis& s) { s.gate_pitch(); });
  for (int k = 0; k < kGrus; ++k) {
    const GruLayer& layer = w.gru[k];
    each([&](int i, Synthesis& s) {
      float* to =
          k == 0 ? put(s.fwc_, c.fwc, s.inputs_) : put(s.gated_[k - 1], c.gru[k - 1], s.inputs_);
      s.put_past(k, to);
      give(i, s, s.inputs_, c.gru_inputs(k), s.sums_);
    });
    multiply(layer.input);
    each([&](int i, Synthesis& s) {
      const nn::GruState& state = s.gru_[k];
      layer.gru.update(state, s.sums_, nullptr);
      states[i] = &state;
      x[i] = state.h;
      u[i] = state.h_u8;
    });
    layer.gru.multiply_many(states, n, {});  // for the next subframe
    multiply(layer.gate);
    each([&](int, Synthesis& s) {
      put(s.gru_[k].h, layer.gru.stride(), s.gated_[k]);
      kernels.gate_f32(s.gated_[k], s.sums_, layer.gru.stride());
    });
  }
  each([&](int i, Synthesis& s) {
    float* to = s.inputs_;
    for (int k = 0; k < kGrus; ++k) to = put(s.gated_[k], c.gru[k], to);
    s.put_past(kGrus, put(s.fwc_, c.fwc, to));
    give(i, s, s.inputs_, c.skip_inputs(), s.skip_);
  });
  gated(w.skip, c.skip, [](Synthesis& s) { return s.skip_; });
  // Floats at every precision: rounding this layer's inputs is all that int8 costs in quality.
  each([&](int i, Synthesis& s) {
    x[i] = s.skip_;
    y[i] = s.sums_;
  });
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
