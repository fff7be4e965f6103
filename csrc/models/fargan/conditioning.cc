#include "models/fargan/conditioning.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "models/fargan/bytes.h"

namespace pyvoc::models::fargan {
namespace {

std::size_t size(int n) { return static_cast<std::size_t>(n); }

}  // namespace

int period_of(const float* frame) PYVOC_RT {
  const double octaves = static_cast<double>(frame[kPitchFeature]) + 1.5;
  const double samples = std::floor(0.5 + kMostPeriod / std::exp2(octaves));
  // Compared as floating point: what is absurd, or no number, does not fit an int.
  if (!(samples > kLeastPeriod)) return kLeastPeriod;
  return samples < kMostPeriod ? static_cast<int>(samples) : kMostPeriod;
}

Conditioning::Conditioning(const Config& config, const Weights& weights,
                           const kernels::KernelTable& kernels, Arena& arena)
    : config_(config), weights_(weights), kernels_(kernels) {
  const int outputs = nn::padded(kSubframes * config.cond);
  const int widest = std::max({nn::padded(config.cond1), nn::padded(config.cond2), outputs});
  const int inputs = std::max(nn::padded(kTaps * config.cond1), nn::padded(config.cond2));
  inputs_ = arena.allocate<float>(size(nn::padded(kFeatures + config.pitch_dims)));
  first_ = arena.allocate<float>(size(nn::padded(config.cond1)));
  frames_ = arena.allocate<float>(size(nn::padded(kTaps * config.cond1)));
  second_ = arena.allocate<float>(size(nn::padded(config.cond2)));
  outputs_ = arena.allocate<float>(size(outputs));
  bytes_ = arena.allocate<std::uint8_t>(size(std::max(inputs, widest)));
  sums_ = arena.allocate<std::int32_t>(size(widest));
}

void Conditioning::reset() PYVOC_RT {
  std::memset(frames_, 0, sizeof(float) * size(kTaps * config_.cond1));
}

// y = tanh of the layer of x [n].
void Conditioning::run(const DenseLayer& layer, const float* x, int n, float* y) PYVOC_RT {
  const nn::Linear& matrix = layer.matrix;
  if (matrix.integer()) {
    to_bytes(kernels_, x, n, bytes_);
    matrix.run(bytes_, sums_);
    // The bytes go where its own were, which it has read.
    kernels_.tanh_i32(sums_, matrix.scale(), layer.bias, matrix.outputs(), y, bytes_);
  } else {
    matrix.run(x, layer.bias, y);
    kernels_.tanh_f32(y, matrix.outputs());
  }
}

void Conditioning::process(const float* frame, float* cond) PYVOC_RT {
  const Config& c = config_;
  const int row = std::min(period_of(frame) - kLeastPeriod, kPeriods - 1);
  std::memcpy(inputs_, frame, sizeof(float) * kFeatures);
  std::memcpy(inputs_ + kFeatures, weights_.embed_pitch + row * c.pitch_dims,
              sizeof(float) * size(c.pitch_dims));
  run(weights_.dense1, inputs_, kFeatures + c.pitch_dims, first_);
  std::memmove(frames_, frames_ + c.cond1, sizeof(float) * size((kTaps - 1) * c.cond1));
  std::memcpy(frames_ + (kTaps - 1) * c.cond1, first_, sizeof(float) * size(c.cond1));
  run(weights_.conv, frames_, kTaps * c.cond1, second_);
  run(weights_.dense2, second_, c.cond2, outputs_);
  std::memcpy(cond, outputs_, sizeof(float) * size(kSubframes * c.cond));
}

}  // namespace pyvoc::models::fargan
