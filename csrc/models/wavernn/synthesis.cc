#include "models/wavernn/synthesis.h"

#include <algorithm>

namespace pyvoc::models::wavernn {
namespace {

constexpr std::int64_t kOwnCache = 2 << 20;  // bytes of a core's own, at most
constexpr float kMaxByte = 254.0f;
constexpr int kSessionsWorth = 4;  // of a lockstep, for a thread
constexpr float kHalfSum = 63.5f;  // h1 + h2, -2..2, as bytes around 127

std::size_t size(int n) { return static_cast<std::size_t>(n); }

}  // namespace

Synthesis::Synthesis(const Config& config, const Weights& weights,
                     const kernels::KernelTable& kernels, std::uint64_t seed, int threads)
    : config_(config),
      weights_(weights),
      kernels_(kernels),
      team_(threads),
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
  ahead_ = true;
  draws_.reset(seed);
  x_ = 0.0f;
}

// inputs_ = what is constant over the frame + the mel, interpolated + the sample's column.
void Synthesis::mix_inputs(int phase) PYVOC_RT {
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
  put(weights_.sample, x_);
  kernels_.mix_rows_f32(rows_, row_weights_, n, inputs_, weights_.inputs);
}

// One sample of n sessions. Everything but the large products is done session by session, with the
// same arithmetic for any n.
void Synthesis::run_step(Synthesis* const* sessions, int n, const int* at, int t) PYVOC_RT {
  const Weights& w = sessions[0]->weights_;
  const kernels::KernelTable& kernels = sessions[0]->kernels_;
  const bool integer = w.fc1.integer();
  const int fc = nn::padded(sessions[0]->config_.fc);
  const float* x[kLockstep] = {};
  const float* init[kLockstep] = {};
  float* y[kLockstep] = {};
  float top[kLockstep] = {};
  const std::uint8_t* u[kLockstep] = {};
  std::int32_t* sums[kLockstep] = {};
  const nn::GruState* states[kLockstep] = {};
  Synthesis* largest = sessions[0];
  for (int i = 1; i < n; ++i) {
    if (sessions[i]->team_.threads() > largest->team_.threads()) largest = sessions[i];
  }
  Team& team = largest->team_;
  const auto each = [&](const auto& f) {
    const int pieces = std::max(1, std::min(n / kSessionsWorth, team.threads()));
    team.run(pieces, [&](int piece) {
      const Team::Range mine = Team::Range::of(n, piece, pieces);
      for (int i = mine.first; i < mine.first + mine.count; ++i) f(i, *sessions[i]);
    });
  };
  // y = init + layer x; an int8 layer has u, of which `factor` (by session) is a unit.
  const auto sum = [&](const nn::Linear& layer, nn::Linear::Share share) {
    if (layer.integer()) return layer.run_many(u, sums, n, share);
    layer.run_many(x, init, y, n, share);
  };
  const auto scale = [&](const nn::Linear& layer, const auto& factor) {
    if (!layer.integer()) return;
    each([&](int i, Synthesis&) {
      kernels.scaled_i32(sums[i], layer.scale(), factor(i), init[i], y[i], layer.outputs());
    });
  };
  // Threads keep their rows from sample to sample, and those stay in their caches.
  const auto divide = [&](std::int64_t bytes, const auto& work) {
    const int pieces = std::min(team.pieces_of(bytes * n), team.threads());
    team.run(pieces, [&](int i) { work(nn::Linear::Share{i, pieces}); });
  };
  const auto product = [&](const nn::Linear& layer, const auto& factor) {
    divide(layer.bytes(), [&](nn::Linear::Share share) { sum(layer, share); });
    scale(layer, factor);
  };
  // Rectified activations u stand for u top / 254: nothing is to be added for a zero.
  const auto rectified = [&](int i, Synthesis& s, float* values) {
    kernels.rectify_f32(values, fc, &top[i]);
    x[i] = values;
    if (integer) {
      kernels.bytes_f32(values, top[i] > 0.0f ? kMaxByte / top[i] : 0.0f, 0.0f, fc, s.bytes_);
    }
  };
  const auto half_top = [&](int i) { return 0.5f * top[i]; };

  // What a sample's gates read of the state before, U h, may be had as soon as that is known
  // (ahead) or when it is needed (late). Always at the same time, and every weight would be read
  // once per sample: a cache that is too small for all of them would never hold the next one. So
  // every second sample does both, late for itself and ahead for the next: the second time U is
  // still there, and the samples between leave the others' weights where they are. What fits is
  // done ahead, together with what the sample waits for, as that needs no turn of its own.
  const nn::GruState *late1[kLockstep] = {}, *late2[kLockstep] = {};
  int late = 0;
  for (int i = 0; i < n; ++i) {
    if (sessions[i]->ahead_) continue;
    late1[late] = &sessions[i]->a_;
    late2[late++] = &sessions[i]->b_;
  }
  const bool ahead = late > 0 || w.loop_bytes <= kOwnCache * team.threads();
  const auto multiply_late = [&](const nn::Gru& gru, const nn::GruState* const* states) {
    if (late == 0) return;
    divide(gru.recurrent().bytes(),
           [&](nn::Linear::Share share) { gru.multiply_many(states, late, share); });
  };

  multiply_late(w.rnn1, late1);
  each([&](int i, Synthesis& s) {
    s.ahead_ = ahead;
    s.mix_inputs(at[i] + t);
    w.rnn1.update(s.a_, s.inputs_, nullptr);
    states[i] = &s.a_;
    x[i] = s.a_.h;
    u[i] = s.a_.h_u8;
    sums[i] = s.sums_;
    init[i] = s.inputs_ + w.rnn2_at;
    y[i] = s.rnn2_gates_;
  });
  divide(w.rnn2_input.bytes() + (ahead ? w.rnn1.recurrent().bytes() : 0),
         [&](nn::Linear::Share share) {
           if (ahead) w.rnn1.multiply_many(states, n, share);
           sum(w.rnn2_input, share);
         });
  scale(w.rnn2_input, [](int) { return 1.0f; });
  multiply_late(w.rnn2, late2);
  each([&](int i, Synthesis& s) {
    w.rnn2.update(s.b_, s.rnn2_gates_, nullptr);
    const int stride = w.rnn1.stride();
    for (int k = 0; k < stride; ++k) s.other_[k] = s.a_.h[k] + s.b_.h[k];
    if (integer) kernels.bytes_f32(s.other_, kHalfSum, 127.0f, stride, s.bytes_);
    states[i] = &s.b_;
    x[i] = s.other_;
    u[i] = s.bytes_;
    init[i] = s.inputs_ + w.fc1_at;
    y[i] = s.hidden_;
  });
  divide(w.fc1.bytes() + (ahead ? w.rnn2.recurrent().bytes() : 0), [&](nn::Linear::Share share) {
    if (ahead) w.rnn2.multiply_many(states, n, share);
    sum(w.fc1, share);
  });
  scale(w.fc1, [](int) { return 2.0f; });
  each([&](int i, Synthesis& s) {
    rectified(i, s, s.hidden_);
    init[i] = s.conditioning_.fc2_constant();
    y[i] = s.other_;
  });
  product(w.fc2, half_top);
  each([&](int i, Synthesis& s) {
    rectified(i, s, s.other_);
    init[i] = w.fc3_bias;
    y[i] = s.outputs_;
  });
  product(w.fc3, half_top);
}

const float* Synthesis::step(int phase, float x) PYVOC_RT {
  Synthesis* self = this;
  x_ = x;
  run_step(&self, 1, &phase, 0);
  return outputs_;
}

void Synthesis::run(int at, float* samples, int count) PYVOC_RT {
  Synthesis* self = this;
  run(&self, &at, &samples, count, 1);
}

void Synthesis::run(Synthesis* const* sessions, const int* at, float* const* samples, int count,
                    int n) PYVOC_RT {
  for (int t = 0; t < count; ++t) {
    run_step(sessions, n, at, t);
    for (int i = 0; i < n; ++i) {
      Synthesis& s = *sessions[i];
      const Drawn drawn = s.sampler_.draw(s.outputs_, s.draws_);
      samples[i][t] = drawn.heard;
      s.x_ = drawn.fed_back;
    }
  }
}

}  // namespace pyvoc::models::wavernn
