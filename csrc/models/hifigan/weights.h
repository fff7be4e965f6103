// HiFi-GAN's weights, validated first, then packed into one arena.
#ifndef PYVOC_MODELS_HIFIGAN_WEIGHTS_H_
#define PYVOC_MODELS_HIFIGAN_WEIGHTS_H_

#include <vector>

#include "models/hifigan/config.h"
#include "models/packed_weights.h"
#include "models/quantized_convs.h"
#include "nn/dilated_conv.h"

namespace pyvoc::models::hifigan {

struct Layer {
  nn::DilatedConv conv;
  Quantization input;
};

struct Block {
  Layer first, second;  // second: where Config::paired
};

struct StageWeights {
  nn::Conv up;
  Quantization up_input;
  std::vector<std::vector<Block>> chains;
};

struct Weights : PackedWeights {
  const float *mean = nullptr, *scale = nullptr;  // [bands] input = (mel - mean) * scale
  nn::Conv conv_in;
  std::vector<StageWeights> stages;
  LastConv conv_out;
  bool integer = false;  // a layer reads bytes
};

Status load_weights(const io::Gguf& file, const Config& config, const kernels::KernelTable& kernels,
                    Weights& weights);

}  // namespace pyvoc::models::hifigan
#endif  // PYVOC_MODELS_HIFIGAN_WEIGHTS_H_
