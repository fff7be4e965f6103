#include "models/wavernn/sampler.h"

#include <algorithm>
#include <cmath>

#include "nn/linear.h"

namespace pyvoc::models::wavernn {
namespace {

// Uniforms of a mixture stay within kLeast .. 1 - kLeast, where their logarithms are finite.
constexpr float kLeast = 1e-5f;
constexpr float kLeastLogScale = -32.2361913f;  // ln 1e-14

}  // namespace

Sampler::Sampler(const Config& config, const float* amplitudes, const kernels::KernelTable& kernels,
                 Arena& arena)
    : config_(config), amplitudes_(amplitudes), kernels_(kernels) {
  uniforms_ = arena.allocate<float>(static_cast<std::size_t>(config.mixtures()) + 1);
  if (config.mode == Mode::kRaw) {
    const std::size_t whole = (static_cast<std::size_t>(config.outputs) + 255) / 256 * 256;
    scratch_ = arena.allocate<float>(whole + whole / 16);
  }
}

float Sampler::draw_mixture(const float* outputs, Draws& draws) PYVOC_RT {
  const int n = config_.mixtures();
  draws.take(uniforms_, static_cast<std::size_t>(n) + 1);
  for (int j = 0; j <= n; ++j) {
    uniforms_[j] = std::min(std::max(uniforms_[j], kLeast), 1.0f - kLeast);
  }
  int chosen = 0;
  float best = 0.0f;
  for (int j = 0; j < n; ++j) {
    const float score = outputs[j] - std::log(-std::log(uniforms_[j]));
    if (j == 0 || score > best) {
      best = score;
      chosen = j;
    }
  }
  const float scale = std::exp(std::max(outputs[2 * n + chosen], kLeastLogScale));
  const float u = uniforms_[n];
  const float x = outputs[n + chosen] + scale * (std::log(u) - std::log(1.0f - u));
  return x >= -1.0f ? std::min(x, 1.0f) : (x < -1.0f ? -1.0f : 0.0f);  // a NaN is silence
}

int Sampler::draw_label(const float* outputs, Draws& draws) PYVOC_RT {
  float u = 0.0f;
  draws.take(&u, 1);
  std::int32_t label = 0;
  kernels_.draw_label_f32(outputs, nn::padded(config_.outputs), u, scratch_, &label);
  return std::min(label, config_.outputs - 1);
}

Drawn Sampler::draw(const float* outputs, Draws& draws) PYVOC_RT {
  if (config_.mode == Mode::kMol) {
    const float x = draw_mixture(outputs, draws);
    return {x, x};
  }
  const int label = draw_label(outputs, draws);
  const float most = static_cast<float>(config_.outputs - 1);
  return {static_cast<float>(2 * label) / most - 1.0f, amplitudes_[label]};
}

}  // namespace pyvoc::models::wavernn
