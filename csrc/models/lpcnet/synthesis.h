// One stream of LPCNet: the condition network per frame, the sample network 160 times per frame.
#ifndef PYVOC_MODELS_LPCNET_SYNTHESIS_H_
#define PYVOC_MODELS_LPCNET_SYNTHESIS_H_

#include <array>
#include <cstddef>

#include "dsp/mulaw.h"
#include "models/lpcnet/condition.h"
#include "models/lpcnet/sampler.h"
#include "models/vocoder.h"

namespace pyvoc::models::lpcnet {

constexpr int kLockstep = 4;  // streams that one pass over GRU A's weights serves

// What a teacher-forced step saw and computed; for predict and for tests.
struct Step {
  int sig, pred, exc;  // mu-law indices of the inputs
  float prediction;    // s16 scale
  const float* gru_a;  // [N] states after the step
  const float* gru_b;  // [M]
};

class Synthesis final : public Session {
 public:
  Synthesis(const Config& config, const Weights& weights, const kernels::KernelTable& kernels,
            const dsp::CepstralAnalysis& analysis, std::uint64_t seed);

  void reset(std::uint64_t seed) PYVOC_RT override;
  void set_draws(Span<const float> draws) PYVOC_RT override { draws_.give(draws); }
  int begin(const float* frames, int n) PYVOC_RT override;
  int finish(int ahead) PYVOC_RT override;  // the last frame again
  void run(int at, float* samples, int count) PYVOC_RT override;

  // run for kLockstep sessions at once, where lockstep() says that the weights allow it.
  static bool lockstep(const Weights& weights) PYVOC_RT;
  static void run_lockstep(Synthesis* const* sessions, float* const* samples, int count) PYVOC_RT;

  // One teacher-forced sample; `target` is the pre-emphasised signal, s16 scale. Returns the
  // excitation code that leads there. distribution() is valid until the next step.
  int force(float target, Step& step) PYVOC_RT;
  void distribution(float* logits, float* probabilities) PYVOC_RT {
    sampler_.distribution(b_.h, logits, probabilities);
  }
  const Condition& condition() const { return condition_; }

 private:
  void update_gru_a() PYVOC_RT;
  void update_gru_b() PYVOC_RT;
  void predict_next() PYVOC_RT;
  float accept(int code) PYVOC_RT;
  void push_signal(float x, int code) PYVOC_RT;

  const Config& config_;
  const Weights& weights_;
  const kernels::KernelTable& kernels_;
  Arena arena_;
  Condition condition_;
  Sampler sampler_;
  Draws draws_;
  nn::GruState a_, b_;
  void* b_input_sums_ = nullptr;  // [3 * stride B] W h_a: int32 or float
  float* b_input_ = nullptr;      // [3 * stride B]
  float* last_frame_ = nullptr;   // [feature_dims]
  float signal_[kLpcOrder] = {};  // x[t-1] ... x[t-16], s16 scale, pre-emphasised
  const float* const decoded_ = dsp::mulaw_decode_table();           // [256], of excitation codes
  float prediction_ = 0.0f;                                          // of x[t]
  int signal_code_ = 0, prediction_code_ = 0, excitation_code_ = 0;  // inputs of the next step
  float deemphasis_ = 0.0f;
};

}  // namespace pyvoc::models::lpcnet
#endif  // PYVOC_MODELS_LPCNET_SYNTHESIS_H_
