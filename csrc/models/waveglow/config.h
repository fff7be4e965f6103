// WaveGlow's hyper-parameters, from metadata and tensor shapes. A step is a group of samples; the
// flows are numbered from the audio, so synthesis runs the last one first.
#ifndef PYVOC_MODELS_WAVEGLOW_CONFIG_H_
#define PYVOC_MODELS_WAVEGLOW_CONFIG_H_

#include <vector>

#include "base/realtime.h"
#include "models/mel_features.h"

namespace pyvoc::models::waveglow {

constexpr int kTaps = 3;          // of a layer's dilated convolution
constexpr int kBlockFrames = 24;  // the most frames taken at a time

struct Config : MelConfig {
  int history = 0;  // frames that the upsampling of one needs, itself among them
  int groups = 0;   // samples per step
  int layers = 0;   // of a flow; layer i has the dilation 2^i
  int hidden = 0;   // channels within a flow
  int early_every = 0, early_size = 0;
  bool alternate = false;
  bool apart = false;  // each band is upsampled by itself, not all into all
  float sigma = 0.0f;
  std::vector<int> channels;  // of each flow

  int flows() const { return static_cast<int>(channels.size()); }
  int steps_per_frame() const { return hop_length / groups; }
  int reach() const { return (1 << layers) - 1; }  // steps to each side that a flow's output needs
  int lookahead_frames() const PYVOC_RT;           // that the last sample of a frame depends on

  // Channels of noise join in front of those that flow k gave.
  bool joins(int k) const { return k > 0 && k % early_every == 0 && early_size > 0; }
  // Channels of what flow k gives.
  int outputs(int k) const { return k > 0 ? channels[static_cast<std::size_t>(k - 1)] : groups; }
  // Whether flow k changes the first half, not the second.
  bool swapped(int k) const { return alternate && k % 2 != 0; }
};

// Every problem in one message.
Result<Config> read_config(const io::Gguf& file);

}  // namespace pyvoc::models::waveglow
#endif  // PYVOC_MODELS_WAVEGLOW_CONFIG_H_
