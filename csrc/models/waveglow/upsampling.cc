#include "models/waveglow/upsampling.h"

namespace pyvoc::models::waveglow {

Upsampling::Upsampling(const nn::ConvSource& source, const Config& config,
                       const kernels::KernelTable& kernels, Arena& arena)
    : kernels_(&kernels),
      history_(config.history),
      hop_(config.hop_length),
      width_(nn::padded(config.bands)) {
  const auto samples = static_cast<std::size_t>(hop_ * width_);
  weights_ = arena.allocate<float>(samples * static_cast<std::size_t>(history_));
  bias_ = arena.allocate<float>(samples);
  float *weight = weights_, *bias = bias_;
  for (int sample = 0; sample < hop_; ++sample, bias += width_) {
    for (int b = 0; b < config.bands; ++b) bias[b] = source.bias[b];
    for (int age = history_ - 1; age >= 0; --age, weight += width_) {
      for (int b = 0; b < config.bands; ++b) weight[b] = source.at(b, 0, age * hop_ + sample);
    }
  }
}

void Upsampling::run(Team& team, const float* mel, int n, float* scratch,
                     kernels::ConvOutput out) const PYVOC_RT {
  if (kernels_ == nullptr) {
    kernels::ConvInput<float> in;
    in.segments = 1;
    in.base[0] = mel;
    in.stride[0] = width_;
    in.cols[0] = history_ * width_;
    joint_.run(team, in, n, out);
    return;
  }
  out.stride = std::ptrdiff_t{hop_} * width_;
  out.bias = bias_;
  for (int i = 0; i < n; ++i, mel += width_) {
    const float* w = weights_;
    float* sums = scratch;
    for (int sample = 0; sample < hop_; ++sample, sums += width_) {
      const float* x = mel;
      for (int b = 0; b < width_; ++b) sums[b] = w[b] * x[b];
      for (int j = 1; j < history_; ++j) {
        w += width_;
        x += width_;
        for (int b = 0; b < width_; ++b) sums[b] += w[b] * x[b];
      }
      w += width_;
    }
    kernels_->conv_finish_f32(scratch, hop_ * width_ / nn::kVector, 1,
                              kernels::advanced(out, i * out.stride));
  }
}

}  // namespace pyvoc::models::waveglow
