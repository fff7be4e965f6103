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

  // h [stride of B] -> a code 0..255, in two halves so that a caller can put other work between
  // them: begin, then finish. `pitch_correlation` sets the 2019 model's temperature.
  void begin(const float* h, Draws& draws) PYVOC_RT;
  int finish(const float* h, float pitch_correlation, Draws& draws) PYVOC_RT;

  // All 256 logits (kTree: of the nodes, [0] unused) and the distribution, no temperature, no
  // floor.
  void distribution(const float* h, float* logits, float* probabilities) PYVOC_RT;

 private:
  int sample_softmax(const float* h, float pitch_correlation, Draws& draws) PYVOC_RT;
  void softmax_logits(const float* h) PYVOC_RT;

  const Config& config_;
  const Weights& weights_;
  const kernels::KernelTable& kernels_;
  float* logits_ = nullptr;      // kTree: [16]; kSoftmax: [512]
  float* thresholds_ = nullptr;  // [16]
  std::int32_t high_ = 0;        // kTree: the first four decisions
};

}  // namespace pyvoc::models::lpcnet
#endif  // PYVOC_MODELS_LPCNET_SAMPLER_H_
