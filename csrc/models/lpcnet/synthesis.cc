#include "models/lpcnet/synthesis.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "dsp/mulaw.h"

namespace pyvoc::models::lpcnet {
namespace {

// An unstable predictor (features of no real sound) must not run away to infinity.
constexpr float kSignalLimit = 1e6f;

}  // namespace

Synthesis::Synthesis(const Config& config, const Weights& weights,
                     const kernels::KernelTable& kernels, const dsp::CepstralAnalysis& analysis,
                     std::uint64_t seed)
    : config_(config),
      weights_(weights),
      kernels_(kernels),
      condition_(config, weights, kernels, analysis, arena_),
      sampler_(config, weights, kernels, arena_),
      a_(weights.gru_a.make_state(arena_)),
      b_(weights.gru_b.make_state(arena_)) {
  b_input_sums_ = arena_.allocate<float>(weights.gru_b_input.outputs());
  b_input_ = arena_.allocate<float>(weights.gru_b_input.outputs());
  last_frame_ = arena_.allocate<float>(config.feature_dims);
  reset(seed);
}

void Synthesis::reset(std::uint64_t seed) PYVOC_RT {
  condition_.reset();
  weights_.gru_a.reset(a_);
  weights_.gru_b.reset(b_);
  draws_.reset(seed);
  std::memset(last_frame_, 0, sizeof(float) * config_.feature_dims);
  std::memset(signal_, 0, sizeof signal_);
  deemphasis_ = 0.0f;
  excitation_code_ = kSilence;
  signal_code_ = kSilence;
  prediction_code_ = kSilence;
  prediction_ = 0.0f;
}

// prediction_ and its code from the signal; the order of the sum is upstream's, so that codes
// agree.
void Synthesis::predict_next() PYVOC_RT {
  const float* lpc = condition_.lpc();
  float prediction = 0.0f;
  for (int k = 0; k < kLpcOrder; ++k) prediction -= signal_[k] * lpc[k];
  prediction_ = std::min(kSignalLimit, std::max(-kSignalLimit, prediction));
  prediction_code_ = dsp::mulaw_encode(prediction_);
}

void Synthesis::update_gru_a() PYVOC_RT {
  const void* rows[3];
  weights_.tables.rows(signal_code_, prediction_code_, excitation_code_, rows);
  weights_.gru_a.update(a_, condition_.gru_a_input(), rows);
}

// GRU B from GRU A's new state.
void Synthesis::update_gru_b() PYVOC_RT {
  const nn::Linear& input = weights_.gru_b_input;
  if (input.integer()) {
    std::int32_t* sums = static_cast<std::int32_t*>(b_input_sums_);
    input.run(a_.h_u8, sums);
    kernels_.scale_i32(sums, input.scale(), input.offset(), condition_.gru_b_input(), b_input_,
                       input.outputs());
  } else if (input.description().op == backends::Op::kDense) {
    input.run(a_.h, condition_.gru_b_input(), b_input_);
  } else {
    float* sums = static_cast<float*>(b_input_sums_);
    input.run(a_.h, nullptr, sums);
    for (int i = 0; i < input.outputs(); ++i) b_input_[i] = sums[i] + condition_.gru_b_input()[i];
  }
  weights_.gru_b.update(b_, b_input_, nullptr);
}

void Synthesis::push_signal(float x, int code) PYVOC_RT {
  std::memmove(signal_ + 1, signal_, sizeof(float) * (kLpcOrder - 1));
  signal_[0] = x;
  excitation_code_ = code;
  signal_code_ = dsp::mulaw_encode(x);
}

// The drawn code becomes a sample (-1..1).
float Synthesis::accept(int code) PYVOC_RT {
  const float x = prediction_ + decoded_[code];
  push_signal(x, code);
  deemphasis_ = x + kPreemphasis * deemphasis_;
  return std::min(32767.0f, std::max(-32767.0f, deemphasis_)) * (1.0f / 32768.0f);
}

int Synthesis::begin(const float* frames, int /*n: blocks are one frame*/) PYVOC_RT {
  std::memcpy(last_frame_, frames, sizeof(float) * config_.feature_dims);
  return finish(0);
}

int Synthesis::finish(int /*ahead*/) PYVOC_RT { return condition_.process(last_frame_) ? 1 : 0; }

// One stream. The product for the next step is cut in pieces that go between the dependent scalar
// chain from GRU B's state to the next codes, where the processor would otherwise wait.
void Synthesis::run(int /*at*/, float* samples, int count) PYVOC_RT {
  const nn::Gru& gru_a = weights_.gru_a;
  predict_next();
  for (int t = 0; t < count; ++t) {
    update_gru_a();
    update_gru_b();
    gru_a.multiply_part(0, a_);
    sampler_.begin(b_.h, draws_);
    gru_a.multiply_part(1, a_);
    const int code = sampler_.finish(b_.h, condition_.pitch_correlation(), draws_);
    gru_a.multiply_part(2, a_);
    samples[t] = accept(code);
    predict_next();
    weights_.gru_b.multiply(b_);
    gru_a.multiply_part(3, a_);
  }
}

bool Synthesis::lockstep(const Weights& weights) PYVOC_RT {
  return weights.gru_a.integer() &&
         weights.gru_a.recurrent().description().op == backends::Op::kSparse8x4;
}

// Stage by stage over the streams: their chains overlap, and a stage's weights stay in L1.
void Synthesis::run_lockstep(Synthesis* const* sessions, float* const* samples,
                             int count) PYVOC_RT {
  const nn::Gru& gru_a = sessions[0]->weights_.gru_a;
  const std::uint8_t* states[kLockstep];
  std::int32_t* sums[kLockstep];
  for (int s = 0; s < kLockstep; ++s) {
    sessions[s]->predict_next();
    states[s] = sessions[s]->a_.h_u8;
    sums[s] = static_cast<std::int32_t*>(sessions[s]->a_.sums);
  }
  for (int t = 0; t < count; ++t) {
    for (int s = 0; s < kLockstep; ++s) sessions[s]->update_gru_a();
    for (int s = 0; s < kLockstep; ++s) sessions[s]->update_gru_b();
    for (int s = 0; s < kLockstep; ++s)
      sessions[s]->sampler_.begin(sessions[s]->b_.h, sessions[s]->draws_);
    for (int s = 0; s < kLockstep; ++s) {
      Synthesis& session = *sessions[s];
      const int code = session.sampler_.finish(session.b_.h, session.condition_.pitch_correlation(),
                                               session.draws_);
      samples[s][t] = session.accept(code);
      session.predict_next();
      session.weights_.gru_b.multiply(session.b_);
    }
    gru_a.recurrent().run_x4(states, sums);
  }
}

int Synthesis::force(float target, Step& step) PYVOC_RT {
  predict_next();
  step = {signal_code_, prediction_code_, excitation_code_, prediction_, a_.h, b_.h};
  update_gru_a();
  update_gru_b();
  const int code = dsp::mulaw_encode(target - prediction_);
  push_signal(target, code);
  weights_.gru_b.multiply(b_);
  weights_.gru_a.multiply(a_);
  return code;
}

}  // namespace pyvoc::models::lpcnet
