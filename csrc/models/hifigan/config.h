// HiFi-GAN's hyper-parameters, from metadata and tensor shapes.
#ifndef PYVOC_MODELS_HIFIGAN_CONFIG_H_
#define PYVOC_MODELS_HIFIGAN_CONFIG_H_

#include <algorithm>
#include <vector>

#include "models/conv_vocoder.h"
#include "models/mel_features.h"
#include "nn/dilated_conv.h"

namespace pyvoc::models::hifigan {

// Upsampling by `ratio` with a transposed convolution, then chains side by side whose mean is the
// stage's output.
struct Stage {
  int inputs = 0, outputs = 0, ratio = 0, taps = 0;
  int hidden = 0;  // channels between the two convolutions of a block
  int cut = 0;     // outputs of the transposed convolution that are lost at its start

  int neighbours() const { return (taps + ratio - 1) / ratio; }  // inputs that an output depends on
};

// The same in every stage: residual blocks one after the other, each a dilated convolution and,
// where `paired`, one without dilation.
struct Chain {
  int taps = 0;
  std::vector<int> dilations;
};

struct Config : MelConfig {
  int channels = 0;  // after the first convolution
  std::vector<Stage> stages;
  std::vector<Chain> chains;
  bool paired = true;
  nn::Padding padding = nn::Padding::kZero;  // at the true ends
  float leak = 0.1f;
  float last_leak = 0.01f;  // before the last convolution

  // Whether the rows of a stage's outputs are nn::kNarrow wide, and how wide they are.
  bool narrow(std::size_t stage) const {
    const Stage& s = stages[stage];
    return stage + 1 == stages.size() && std::max(s.outputs, s.hidden) <= nn::kNarrow &&
           s.ratio % 2 == 0;
  }
  int width(std::size_t stage) const {
    return narrow(stage) ? nn::kNarrow : nn::padded(stages[stage].outputs);
  }
  int hidden_width(std::size_t stage) const {
    return narrow(stage) ? nn::kNarrow : nn::padded(stages[stage].hidden);
  }

  int lookahead_frames() const PYVOC_RT;  // that the last sample of a frame depends on

  // After n frames a layer has computed the rows before n * grid.rows - grid.delay: the up
  // convolution of a stage, and the first or second convolution of a chain's block.
  nn::RowGrid up_grid(std::size_t stage) const;
  nn::RowGrid grid(std::size_t stage, std::size_t chain, std::size_t block, bool second) const;

 private:
  int reach(const Chain& chain, std::size_t blocks) const;  // of the first blocks, in rows
  int reach() const;                                        // of the longest chain
};

// Every problem in one message.
Result<Config> read_config(const io::Gguf& file);

}  // namespace pyvoc::models::hifigan
#endif  // PYVOC_MODELS_HIFIGAN_CONFIG_H_
