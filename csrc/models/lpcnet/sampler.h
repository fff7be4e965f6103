// From GRU B's state to an excitation code: the dual fully-connected layer and the draw.
#ifndef PYVOC_MODELS_LPCNET_SAMPLER_H_
#define PYVOC_MODELS_LPCNET_SAMPLER_H_

#include "base/arena.h"
#include "base/realtime.h"
#include "models/lpcnet/config.h"
#include "models/lpcnet/draws.h"
#include "models/lpcnet/weights.h"

namespace pyvoc::models::lpcnet {

class Sampler {
 public:
  Sampler(const Config& config, const Weights& weights, const kernels::KernelTable& kernels,
          Arena& arena);

  // h [stride of B] -> a code 0..255. `pitch_correlation` sets the 2019 model's temperature.
  int sample(const float* h, float pitch_correlation, Draws& draws) PYVOC_RT;

  // All 256 logits (kTree: of the nodes, [0] unused) and the distribution, no temperature, no floor.
  void distribution(const float* h, float* logits, float* probabilities) PYVOC_RT;

 private:
  int sample_tree(const float* h, Draws& draws) PYVOC_RT;
  int sample_softmax(const float* h, float pitch_correlation, Draws& draws) PYVOC_RT;
  void softmax_logits(const float* h) PYVOC_RT;

  const Config& config_;
  const Weights& weights_;
  const kernels::KernelTable& kernels_;
  float* logits_ = nullptr;  // kTree: [16]; kSoftmax: [512]
};

}  // namespace pyvoc::models::lpcnet
#endif  // PYVOC_MODELS_LPCNET_SAMPLER_H_
