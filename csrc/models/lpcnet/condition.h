// The condition network: one feature frame in, what the 160 samples need of it out. Causal as
// upstream's C runtime: the convolutions look back, so the output belongs to the frame `lookahead`
// frames ago, and it is zeroed while they still fill.
#ifndef PYVOC_MODELS_LPCNET_CONDITION_H_
#define PYVOC_MODELS_LPCNET_CONDITION_H_

#include "base/arena.h"
#include "base/realtime.h"
#include "dsp/lpc_cepstrum.h"
#include "models/lpcnet/config.h"
#include "models/lpcnet/weights.h"

namespace pyvoc::models::lpcnet {

class Condition {
 public:
  // Books its buffers in `arena`; config, weights and analysis must outlive it.
  Condition(const Config& config, const Weights& weights, const kernels::KernelTable& kernels,
            const dsp::CepstralAnalysis& analysis, Arena& arena);

  void reset() PYVOC_RT;

  // Takes frame [feature_dims]. True when the outputs below are those of a frame to be heard.
  bool process(const float* frame) PYVOC_RT;

  const float* gru_a_input() const { return gru_a_input_; }  // [3 * stride A], with biases
  const float* gru_b_input() const { return gru_b_input_; }  // [3 * stride B], with biases
  const float* lpc() const { return lpc_; }                  // [16]
  float pitch_correlation() const { return correlation_; }   // of the frame to be heard, -0.5..0.5
  // For tests: [C] each.
  const float* conv1() const { return conv1_history_ + conv1_newest_; }
  const float* conv2() const { return conv2_out_; }
  const float* dense1() const { return dense1_out_; }
  const float* cond() const { return cond_; }

 private:
  void dense(const DenseLayer& layer, const float* x, float* y) const PYVOC_RT;
  void update_lpc(const float* frame) PYVOC_RT;

  const Config& config_;
  const Weights& weights_;
  const kernels::KernelTable& kernels_;
  const dsp::CepstralAnalysis& analysis_;
  int inputs_ = 0;        // F + P
  int conv1_newest_ = 0;  // offset of the newest row in conv1_history_
  long frames_ = 0;
  float* input_history_ = nullptr;  // [K1][F + P], oldest first
  float* conv1_history_ = nullptr;  // [K2][C]
  float* conv2_out_ = nullptr;
  float* dense1_out_ = nullptr;
  float* cond_ = nullptr;
  float* gru_a_input_ = nullptr;
  float* gru_b_input_ = nullptr;
  float lpc_[kLpcOrder] = {};
  float correlation_ = 0.0f;
  float old_lpc_[kMaxLookahead][kLpcOrder] = {};
  float old_correlation_[kMaxLookahead] = {};
};

}  // namespace pyvoc::models::lpcnet
#endif  // PYVOC_MODELS_LPCNET_CONDITION_H_
