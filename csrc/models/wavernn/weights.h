// WaveRNN's weights, validated against docs/container.md, then packed into one arena. Immutable.
//
// What of the sample loop's inputs is known per frame lies side by side in one array of `inputs`
// floats: rnn1's three gates, rnn2's three gates, fc1 (each padded to nn::kVector).
#ifndef PYVOC_MODELS_WAVERNN_WEIGHTS_H_
#define PYVOC_MODELS_WAVERNN_WEIGHTS_H_

#include <vector>

#include "models/packed_weights.h"
#include "models/wavernn/config.h"
#include "nn/gru.h"

namespace pyvoc::models::wavernn {

struct Block {
  DenseLayer a, b;
};

struct Weights : PackedWeights {
  DenseLayer resnet_in, resnet_out;  // in: [taps][bands] of frames, oldest first
  std::vector<Block> blocks;

  // Part by part of the inputs: from the mel, from the residual network.
  int inputs = 0, rnn2_at = 0, fc1_at = 0;
  nn::Linear rnn1_mel, rnn2_mel, fc1_mel;
  nn::Linear rnn1_aux, rnn2_aux, fc1_aux, fc2_aux;
  const float* constant = nullptr;      // [inputs] biases, those that int8 products need included
  const float* sample = nullptr;        // [inputs] times the sample before
  const float* fc2_constant = nullptr;  // [fc padded]
  // [hop_length][taps]: a sample's upsampled mel is the sum of frames t - P .. t + P so weighted.
  const float* phases = nullptr;

  nn::Gru rnn1, rnn2;
  nn::Linear rnn2_input, fc1, fc2, fc3;
  std::int64_t loop_bytes = 0;  // what a sample reads of all these
  // [outputs padded]; those that are no labels are so small that they are never drawn.
  const float* fc3_bias = nullptr;
  const float* amplitudes = nullptr;  // Mode::kRaw: [outputs] what is heard of a label
};

// Lists everything that is missing, unexpected or misshapen in one message. May throw bad_alloc.
Status load_weights(const io::Gguf& file, const Config& config, const kernels::KernelTable& kernels,
                    Weights& weights);

// How much of frame t + d, d = -pad .. pad, is in each of a frame's samples after upsampling:
// [hop][2 pad + 1]. kernels[k] are the 2 s + 1 taps of stretch k.
std::vector<double> interpolation(const std::vector<const float*>& kernels,
                                  const std::vector<int>& stretches, int pad);

}  // namespace pyvoc::models::wavernn
#endif  // PYVOC_MODELS_WAVERNN_WEIGHTS_H_
