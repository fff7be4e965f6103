#include "models/wavernn/conditioning.h"

#include <algorithm>
#include <cstring>

namespace pyvoc::models::wavernn {
namespace {

std::size_t size(int n) { return static_cast<std::size_t>(n); }

}  // namespace

Conditioning::Conditioning(const Config& config, const Weights& weights,
                           const kernels::KernelTable& kernels, Arena& arena)
    : config_(config), weights_(weights), kernels_(kernels) {
  const std::size_t taps = size(config.taps());
  // bf16 products read inputs in pairs: the last one's neighbour is padding, which stays 0.
  window_ = arena.allocate<float>(size(nn::padded(config.taps() * config.bands)));
  products_ = arena.allocate<float>(taps * size(weights.inputs));
  stream_ = arena.allocate<float>(size(nn::padded(config.hidden)));
  inner_ = arena.allocate<float>(size(nn::padded(config.hidden)));
  aux_ = arena.allocate<float>(size(nn::padded(4 * config.aux)));
  first_third_ = arena.allocate<float>(size(2 * config.aux));
  constant_ = arena.allocate<float>(size(weights.inputs));
  fc2_constant_ = arena.allocate<float>(size(nn::padded(config.fc)));
}

void Conditioning::reset() PYVOC_RT {
  const std::size_t taps = size(config_.taps());
  frames_ = 0;
  newest_ = 0;
  std::memset(window_, 0, sizeof(float) * taps * size(config_.bands));
  std::memset(products_, 0, sizeof(float) * taps * size(weights_.inputs));
}

void Conditioning::run_resnet() PYVOC_RT {
  const Weights& w = weights_;
  const int n = nn::padded(config_.hidden);
  float top = 0.0f;
  w.resnet_in.matrix.run(window_, w.resnet_in.bias, stream_);
  kernels_.rectify_f32(stream_, n, &top);
  for (const Block& block : w.blocks) {
    block.a.matrix.run(stream_, block.a.bias, inner_);
    kernels_.rectify_f32(inner_, n, &top);
    for (int i = 0; i < n; ++i) stream_[i] += block.b.bias[i];
    // The kernel reads `init` before it writes there.
    block.b.matrix.run(inner_, stream_, stream_);
  }
  w.resnet_out.matrix.run(stream_, w.resnet_out.bias, aux_);
}

bool Conditioning::process(const float* frame) PYVOC_RT {
  const Weights& w = weights_;
  const std::size_t bands = size(config_.bands), kept = size(config_.taps() - 1) * bands;
  std::memmove(window_, window_ + bands, sizeof(float) * kept);
  newest_ = (newest_ + 1) % config_.taps();
  float* product = products_ + size(newest_) * size(w.inputs);
  if (frame != nullptr) {
    std::memcpy(window_ + kept, frame, sizeof(float) * bands);
    const float* own = window_ + kept;
    w.rnn1_mel.run(own, nullptr, product);
    w.rnn2_mel.run(own, nullptr, product + w.rnn2_at);
    w.fc1_mel.run(own, nullptr, product + w.fc1_at);
  } else {
    std::memset(window_ + kept, 0, sizeof(float) * bands);
    std::memset(product, 0, sizeof(float) * size(w.inputs));
  }
  if (++frames_ <= config_.pad) return false;
  run_resnet();
  const int a = config_.aux;
  std::copy(aux_, aux_ + a, first_third_);
  std::copy(aux_ + 2 * a, aux_ + 3 * a, first_third_ + a);
  w.rnn1_aux.run(aux_, w.constant, constant_);
  w.rnn2_aux.run(aux_, w.constant + w.rnn2_at, constant_ + w.rnn2_at);
  w.fc1_aux.run(first_third_, w.constant + w.fc1_at, constant_ + w.fc1_at);
  w.fc2_aux.run(aux_ + 3 * a, w.fc2_constant, fc2_constant_);
  return true;
}

}  // namespace pyvoc::models::wavernn
