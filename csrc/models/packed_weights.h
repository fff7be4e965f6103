// What the packed weights of every family begin with, and the layer that several of them have.
#ifndef PYVOC_MODELS_PACKED_WEIGHTS_H_
#define PYVOC_MODELS_PACKED_WEIGHTS_H_

#include <vector>

#include "base/arena.h"
#include "models/vocoder.h"
#include "nn/linear.h"

namespace pyvoc::models {

struct PackedWeights {
  Arena arena;
  std::vector<PlanEntry> plan;
};

struct DenseLayer {
  nn::Linear matrix;
  const float* bias = nullptr;  // [outputs]
};

}  // namespace pyvoc::models
#endif  // PYVOC_MODELS_PACKED_WEIGHTS_H_
