// MelGAN's weights, validated first, then packed into one arena.
#ifndef PYVOC_MODELS_MELGAN_WEIGHTS_H_
#define PYVOC_MODELS_MELGAN_WEIGHTS_H_

#include <vector>

#include "models/melgan/config.h"
#include "models/packed_weights.h"
#include "models/quantized_convs.h"
#include "nn/dilated_conv.h"

namespace pyvoc::models::melgan {

struct Block {
  nn::DilatedConv conv;  // on rectified rows
  nn::Conv mix;          // 1 x 1 of what conv gave, and the shortcut: their sum
  Quantization conv_input, out_input, shortcut_input;
};

struct StageWeights {
  nn::Conv up;
  Quantization up_input;
  std::vector<Block> blocks;
};

struct Weights : PackedWeights {
  nn::Conv conv_in;
  std::vector<StageWeights> stages;
  LastConv conv_out;
  bool integer = false;  // a layer reads bytes
};

Status load_weights(const io::Gguf& file, const Config& config, const kernels::KernelTable& kernels,
                    Weights& weights);

}  // namespace pyvoc::models::melgan
#endif  // PYVOC_MODELS_MELGAN_WEIGHTS_H_
