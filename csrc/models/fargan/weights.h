// FARGAN's weights, validated against docs/container.md, then packed into one arena. Immutable.
#ifndef PYVOC_MODELS_FARGAN_WEIGHTS_H_
#define PYVOC_MODELS_FARGAN_WEIGHTS_H_

#include <optional>

#include "dsp/pitch_network.h"
#include "models/fargan/config.h"
#include "models/packed_weights.h"
#include "nn/gru.h"

namespace pyvoc::models::fargan {

// A layer's bias is its own and what an int8 product needs (nn::Linear::offset).
struct GatedLayer {
  DenseLayer layer;
  DenseLayer gate;  // square: outputs are multiplied with the logistic function of its product
};

struct GruLayer {
  DenseLayer input;
  nn::Gru gru;
  DenseLayer gate;
};

struct Weights : PackedWeights {
  bool integer = false;
  const float* embed_pitch = nullptr;  // [kPeriods][pitch_dims]
  DenseLayer dense1, conv, dense2;
  DenseLayer gain, pitch_gates;
  GatedLayer fwc, skip;
  GruLayer gru[kGrus];
  DenseLayer out;  // of floats at every precision
  std::optional<dsp::PitchNetwork> pitch;
};

// Lists everything that is missing, unexpected or misshapen in one message. May throw bad_alloc.
Status load_weights(const io::Gguf& file, const Config& config, const kernels::KernelTable& kernels,
                    Weights& weights);

}  // namespace pyvoc::models::fargan
#endif  // PYVOC_MODELS_FARGAN_WEIGHTS_H_
