// One stream of WaveRNN: the conditioning per frame, the sample loop sample by sample.
#ifndef PYVOC_MODELS_WAVERNN_SYNTHESIS_H_
#define PYVOC_MODELS_WAVERNN_SYNTHESIS_H_

#include "base/team.h"
#include "models/vocoder.h"
#include "models/wavernn/conditioning.h"
#include "models/wavernn/sampler.h"
#include "models/wavernn/weights.h"

namespace pyvoc::models::wavernn {

// Sessions that share a pass over the weights.
constexpr int kLockstep = nn::Linear::kMost;

class Synthesis final : public Session {
 public:
  Synthesis(const Config& config, const Weights& weights, const kernels::KernelTable& kernels,
            std::uint64_t seed, int threads);

  void reset(std::uint64_t seed) PYVOC_RT override;
  void set_draws(Span<const float> draws) PYVOC_RT override { draws_.give(draws); }
  int begin(const float* frames, int /*n: blocks are one frame*/) PYVOC_RT override {
    return conditioning_.process(frames) ? 1 : 0;
  }
  int finish(int /*ahead*/) PYVOC_RT override { return conditioning_.process(nullptr) ? 1 : 0; }
  void run(int at, float* samples, int count) PYVOC_RT override;
  bool orphaned() const PYVOC_RT override { return team_.orphaned(); }

  // As Vocoder::run, for n <= kLockstep sessions, on the threads of the one that has the most.
  static void run(Synthesis* const* sessions, const int* at, float* const* samples, int count,
                  int n) PYVOC_RT;

  // Sample `phase` of the frame after sample x (fed back as it is): the last layer's outputs, valid
  // until the next step.
  const float* step(int phase, float x) PYVOC_RT;

  const Conditioning& conditioning() const { return conditioning_; }
  const nn::GruState& state1() const { return a_; }
  const nn::GruState& state2() const { return b_; }

 private:
  void mix_inputs(int phase) PYVOC_RT;
  // Sample at[i] + t of session i's hop.
  static void run_step(Synthesis* const* sessions, int n, const int* at, int t) PYVOC_RT;

  const Config& config_;
  const Weights& weights_;
  const kernels::KernelTable& kernels_;
  Team team_;
  Arena arena_;
  Conditioning conditioning_;
  Sampler sampler_;
  Draws draws_;
  nn::GruState a_, b_;
  bool ahead_ = true;            // their products, for the next sample, are known
  float* inputs_ = nullptr;      // [weights.inputs]
  float* rnn2_gates_ = nullptr;  // [3 * stride]
  float* hidden_ = nullptr;      // [2][fc or rnn, padded]
  float* other_ = nullptr;
  float* outputs_ = nullptr;       // [outputs padded]
  std::int32_t* sums_ = nullptr;   // int8: the largest layer's
  std::uint8_t* bytes_ = nullptr;  // int8: a layer's inputs
  const float** rows_ = nullptr;   // what mix_inputs adds, at most taps + 2
  float* row_weights_ = nullptr;
  float x_ = 0.0f;  // fed back
};

}  // namespace pyvoc::models::wavernn
#endif  // PYVOC_MODELS_WAVERNN_SYNTHESIS_H_
