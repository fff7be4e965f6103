// WaveGlow's weights, validated first, then packed into one arena.
#ifndef PYVOC_MODELS_WAVEGLOW_WEIGHTS_H_
#define PYVOC_MODELS_WAVEGLOW_WEIGHTS_H_

#include <vector>

#include "models/packed_weights.h"
#include "models/quantized_convs.h"
#include "models/waveglow/config.h"
#include "models/waveglow/upsampling.h"
#include "nn/gated_conv.h"

namespace pyvoc::models::waveglow {

struct Layer {
  nn::GatedConv gate;  // the dilated convolution and the conditioning
  nn::Conv residual;   // what is added to the layer's input; not on the last layer
  // What the gated values add to shift and scale: `end` is linear in the sum over the layers, so
  // each layer's part is multiplied by it beforehand. Float weights always.
  nn::Conv skip;
  Quantization input, gated;  // of the convolution and of `residual`
};

struct FlowWeights {
  nn::Conv start;  // reads whole rows: the columns of the half that is changed are 0
  std::vector<Layer> layers;
  nn::Conv unmix;  // leaves room in front for channels of noise that join
  // The other direction: what `unmix` undoes, which skips the channels that leave, and the
  // logarithm of its determinant, NaN unless that is positive.
  nn::Conv mix;
  double log_det = 0.0;
};

struct Weights : PackedWeights {
  Upsampling upsample;  // of a frame: [steps][groups][bands padded]
  std::vector<FlowWeights> flows;
  bool integer = false;    // bytes within the flows
  Quantization condition;  // of all layers, one repeat for every sample of a frame
};

Status load_weights(const io::Gguf& file, const Config& config, const kernels::KernelTable& kernels,
                    Weights& weights);

}  // namespace pyvoc::models::waveglow
#endif  // PYVOC_MODELS_WAVEGLOW_WEIGHTS_H_
