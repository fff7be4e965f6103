#include "models/lpcnet/sampler.h"

#include <algorithm>
#include <cmath>

namespace pyvoc::models::lpcnet {
namespace {

constexpr float kFloor = 0.002f;  // 2019: probability that is taken off every class

const ThresholdTable& threshold_table_made_once() {
  static const ThresholdTable table;
  return table;
}

// It is there: the constructor has asked for it.
const ThresholdTable& threshold_table() PYVOC_RT {
  PYVOC_RT_TRUST(return threshold_table_made_once();)
}

float finite_or_zero(float x) { return std::isfinite(x) ? x : 0.0f; }

}  // namespace

Sampler::Sampler(const Config& config, const Weights& weights, const kernels::KernelTable& kernels,
                 Arena& arena)
    : config_(config), weights_(weights), kernels_(kernels) {
  logits_ = arena.allocate<float>(2 * kLevels);
  thresholds_ = arena.allocate<float>(16);
  threshold_table();  // built here, not on the audio thread
}

void Sampler::begin(const float* h, Draws& draws) PYVOC_RT {
  if (config_.sampling != Sampling::kTree) return;
  draws.thresholds(threshold_table(), thresholds_);
  kernels_.dual_fc_path(weights_.trees[0], h, thresholds_, &high_);
}

int Sampler::finish(const float* h, float pitch_correlation, Draws& draws) PYVOC_RT {
  if (config_.sampling != Sampling::kTree) return sample_softmax(h, pitch_correlation, draws);
  std::int32_t low = 0;
  draws.thresholds(threshold_table(), thresholds_);
  kernels_.dual_fc_path(weights_.trees[static_cast<std::size_t>(1 + high_)], h, thresholds_, &low);
  return 16 * high_ + low;
}

// logits_[0..255] = the class logits.
void Sampler::softmax_logits(const float* h) PYVOC_RT {
  weights_.dual_fc.matrix.run(h, weights_.dual_fc.bias, logits_);
  kernels_.tanh_f32(logits_, 2 * kLevels);
  const float* factor = weights_.dual_fc_factor;
  for (int i = 0; i < kLevels; ++i) {
    logits_[i] =
        finite_or_zero(factor[i] * logits_[i] + factor[kLevels + i] * logits_[kLevels + i]);
  }
}

int Sampler::sample_softmax(const float* h, float pitch_correlation, Draws& draws) PYVOC_RT {
  softmax_logits(h);
  const float sharpen = 1.0f + std::max(0.0f, 1.5f * pitch_correlation - 0.5f);
  float largest = logits_[0];
  for (int i = 1; i < kLevels; ++i) largest = std::max(largest, logits_[i]);
  float sum = 0.0f;
  for (int i = 0; i < kLevels; ++i) {
    logits_[i] = std::exp((logits_[i] - largest) * sharpen);
    sum += logits_[i];
  }
  const float norm = 1.0f / sum;
  float cumulative = 0.0f;
  for (int i = 0; i < kLevels; ++i) {
    cumulative += std::max(0.0f, norm * logits_[i] - kFloor);
    logits_[i] = cumulative;
  }
  const float r = cumulative * draws.uniform();
  const float* found = std::upper_bound(logits_, logits_ + kLevels - 1, r);
  return static_cast<int>(found - logits_);
}

void Sampler::distribution(const float* h, float* logits, float* probabilities) PYVOC_RT {
  if (config_.sampling == Sampling::kSoftmax) {
    softmax_logits(h);
    const float largest = *std::max_element(logits_, logits_ + kLevels);
    double sum = 0.0;
    for (int i = 0; i < kLevels; ++i) {
      logits[i] = logits_[i];
      probabilities[i] = std::exp(logits_[i] - largest);
      sum += probabilities[i];
    }
    for (int i = 0; i < kLevels; ++i) {
      probabilities[i] = static_cast<float>(probabilities[i] / sum);
    }
    return;
  }
  for (int tree = 0; tree < 17; ++tree) {
    kernels_.dual_fc_tree(weights_.trees[static_cast<std::size_t>(tree)], h, logits_);
    for (int level = 0; level < 4; ++level) {
      const int base = (tree == 0 ? 1 : 16 | (tree - 1)) << level;
      for (int k = 0; k < 1 << level; ++k) {
        logits[base + k] = finite_or_zero(logits_[(1 << level) + k]);
      }
    }
  }
  logits[0] = 0.0f;
  for (int code = 0; code < kLevels; ++code) {
    double p = 1.0;
    for (int level = 0; level < 8; ++level) {
      const int node = (1 << level) | (code >> (8 - level));
      const bool taken = (code >> (7 - level)) & 1;
      p /= 1.0 +
           std::exp(taken ? -static_cast<double>(logits[node]) : static_cast<double>(logits[node]));
    }
    probabilities[code] = static_cast<float>(p);
  }
}

}  // namespace pyvoc::models::lpcnet
