#include "models/lpcnet/condition.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace pyvoc::models::lpcnet {
namespace {

// Reflection coefficients to prediction coefficients: the step-up recursion.
void reflection_to_lpc(const float* rc, float* lpc) {
  for (int order = 0; order < kLpcOrder; ++order) {
    float next[kLpcOrder];
    for (int j = 0; j < order; ++j) next[j] = lpc[j] + rc[order] * lpc[order - 1 - j];
    std::copy(next, next + order, lpc);
    lpc[order] = rc[order];
  }
}

}  // namespace

Condition::Condition(const Config& config, const Weights& weights,
                     const kernels::KernelTable& kernels, const dsp::CepstralAnalysis& analysis,
                     Arena& arena)
    : config_(config),
      weights_(weights),
      kernels_(kernels),
      analysis_(analysis),
      inputs_(config.feature_dims + config.pitch_dims),
      conv1_newest_((config.conv2_kernel - 1) * config.cond) {
  input_history_ = arena.allocate<float>(static_cast<std::size_t>(inputs_) * config.conv1_kernel);
  // Layers write whole vectors: room for the padding behind the newest row.
  conv1_history_ = arena.allocate<float>(
      static_cast<std::size_t>(config.cond) * config.conv2_kernel + nn::kVector);
  conv2_out_ = arena.allocate<float>(nn::padded(config.cond));
  dense1_out_ = arena.allocate<float>(nn::padded(config.cond));
  cond_ = arena.allocate<float>(nn::padded(config.cond));
  gru_a_input_ = arena.allocate<float>(weights.gru_a_cond.outputs());
  gru_b_input_ = arena.allocate<float>(weights.gru_b_cond.outputs());
}

void Condition::reset() PYVOC_RT {
  frames_ = 0;
  std::memset(input_history_, 0, sizeof(float) * inputs_ * config_.conv1_kernel);
  std::memset(conv1_history_, 0, sizeof(float) * config_.cond * config_.conv2_kernel);
  std::memset(lpc_, 0, sizeof lpc_);
  std::memset(old_lpc_, 0, sizeof old_lpc_);
  std::memset(old_correlation_, 0, sizeof old_correlation_);
  correlation_ = 0.0f;
}

void Condition::dense(const DenseLayer& layer, const float* x, float* y) const PYVOC_RT {
  layer.matrix.run(x, layer.bias, y);
  kernels_.tanh_f32(y, layer.matrix.outputs());
}

bool Condition::process(const float* frame) PYVOC_RT {
  const int c = config_.cond;
  // 0.1 avoids rounding trouble: as upstream. Periods 33..255 (2019: 0..255).
  const int lowest = config_.layout_dims == 55 ? 0 : 33;
  const float pitch = frame[config_.pitch_feature];
  const int period =
      std::min(255, std::max(lowest, static_cast<int>(std::floor(0.1 + 50.0 * pitch + 100.0))));

  const int last = (config_.conv1_kernel - 1) * inputs_;
  std::memmove(input_history_, input_history_ + inputs_, sizeof(float) * last);
  float* newest = input_history_ + last;
  std::memcpy(newest, frame, sizeof(float) * config_.feature_dims);
  if (config_.layout_dims == 55) {  // columns 18..35 are unused; upstream forces them to zero
    std::memset(newest + kBands, 0, sizeof(float) * kBands);
  }
  std::memcpy(newest + config_.feature_dims, weights_.embed_pitch + period * config_.pitch_dims,
              sizeof(float) * config_.pitch_dims);

  std::memmove(conv1_history_, conv1_history_ + c, sizeof(float) * conv1_newest_);
  float* conv1_out = conv1_history_ + conv1_newest_;
  dense(weights_.conv1, input_history_, conv1_out);
  if (frames_ < (config_.conv1_kernel - 1) / 2) std::memset(conv1_out, 0, sizeof(float) * c);
  dense(weights_.conv2, conv1_history_, conv2_out_);
  if (frames_ < config_.lookahead) std::memset(conv2_out_, 0, sizeof(float) * c);
  dense(weights_.dense1, conv2_out_, dense1_out_);
  dense(weights_.dense2, dense1_out_, cond_);
  weights_.gru_a_cond.run(cond_, weights_.gru_a.input_bias(), gru_a_input_);
  weights_.gru_b_cond.run(cond_, weights_.gru_b.input_bias(), gru_b_input_);
  update_lpc(frame);
  return ++frames_ > config_.lookahead;
}

// The predictor and the correlation of the frame `lookahead` frames ago.
void Condition::update_lpc(const float* frame) PYVOC_RT {
  const int delay = config_.lookahead;
  float newest[kLpcOrder];
  analysis_.predictor(frame, newest, config_.layout_dims != 55);
  const float correlation = frame[config_.pitch_feature + 1];
  if (delay == 0) {
    std::memcpy(lpc_, newest, sizeof lpc_);
    correlation_ = correlation;
  } else {
    std::memcpy(lpc_, old_lpc_[delay - 1], sizeof lpc_);
    correlation_ = old_correlation_[delay - 1];
    std::memmove(old_lpc_[1], old_lpc_[0], sizeof(old_lpc_[0]) * (delay - 1));
    std::memmove(old_correlation_ + 1, old_correlation_, sizeof(float) * (delay - 1));
    std::memcpy(old_lpc_[0], newest, sizeof newest);
    old_correlation_[0] = correlation;
  }
  if (config_.end_to_end) reflection_to_lpc(cond_, lpc_);
  if (config_.lpc_gamma != 1.0f) {
    float gamma = config_.lpc_gamma;
    for (float& a : lpc_) {
      a *= gamma;
      gamma *= config_.lpc_gamma;
    }
  }
}

}  // namespace pyvoc::models::lpcnet
