// What the packed weights of every family begin with.
#ifndef PYVOC_MODELS_PACKED_WEIGHTS_H_
#define PYVOC_MODELS_PACKED_WEIGHTS_H_

#include <vector>

#include "base/arena.h"
#include "models/vocoder.h"
#include "nn/dense_layer.h"

namespace pyvoc::models {

struct PackedWeights {
  Arena arena;
  std::vector<PlanEntry> plan;
};

using nn::DenseLayer;

}  // namespace pyvoc::models
#endif  // PYVOC_MODELS_PACKED_WEIGHTS_H_
