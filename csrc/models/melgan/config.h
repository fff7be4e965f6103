// MelGAN's hyper-parameters, from metadata and tensor shapes.
#ifndef PYVOC_MODELS_MELGAN_CONFIG_H_
#define PYVOC_MODELS_MELGAN_CONFIG_H_

#include <vector>

#include "models/conv_vocoder.h"
#include "models/mel_features.h"
#include "nn/dilated_conv.h"

namespace pyvoc::models::melgan {

constexpr int kBlockTaps = 3;  // of a residual block's dilated convolution

// Upsampling by `ratio`, then residual blocks with `outputs` channels.
struct Stage {
  int inputs = 0, outputs = 0, ratio = 0;
  // A transposed convolution of 2 ratio taps loses so many samples at its start.
  int cut() const { return ratio / 2 + ratio % 2; }
};

struct Config : MelConfig {
  int channels = 0;  // after the first convolution
  std::vector<Stage> stages;
  std::vector<int> dilations;  // of a stage's blocks
  nn::Padding padding = nn::Padding::kReflect;
  float input_scale = 1.0f, input_shift = 0.0f;  // network input = mel * scale + shift
  float leak = 0.2f;

  int lookahead_frames() const PYVOC_RT;  // that the last sample of a frame depends on

  // After n frames a block has computed the rows before n * grid.rows - grid.delay.
  nn::RowGrid grid(std::size_t stage, std::size_t block) const;
};

// Every problem in one message.
Result<Config> read_config(const io::Gguf& file);

}  // namespace pyvoc::models::melgan
#endif  // PYVOC_MODELS_MELGAN_CONFIG_H_
