// A network that tells the pitch of a frame (PitchDNN of Opus 1.5 and 1.6), as weights and as one
// signal's state. It hears how the phases of the low bins advance from frame to frame, and how
// alike the signal is to its own past at every period.
#ifndef PYVOC_DSP_PITCH_NETWORK_H_
#define PYVOC_DSP_PITCH_NETWORK_H_

#include <cstdint>

#include "base/arena.h"
#include "base/realtime.h"
#include "kernels/table.h"
#include "nn/dense_layer.h"
#include "nn/gru.h"

namespace pyvoc::dsp {

constexpr int kPhaseBins = 30;
constexpr int kPhaseFeatures = 3 * kPhaseBins - 2;  // of bin 0 the level alone
constexpr int kPitchLags = 224;                     // periods of 256 - i samples
constexpr int kPitchClasses = 180;                  // 60 to the octave, from 256 samples down
constexpr int kPitchTaps = 3;                       // frames, and lags, of a convolution
constexpr int kMostPitchChannels = 16;

// Immutable; the memory is its owner's. Biases are as nn::run_bounded wants them.
struct PitchNetwork {
  nn::DenseLayer phases1, phases2;  // of the phases' features
  int channels = 0;
  const float* conv1 = nullptr;  // [channels][3 frames][3 lags], then [channels] of biases
  const float* conv2 = nullptr;  // [channels][3 frames][3 lags], then a bias
  nn::DenseLayer down;           // of the second convolution [224] and the phases
  nn::DenseLayer input;          // of the GRU
  nn::Gru gru;
  nn::DenseLayer out;  // [180]
};

// One thread at a time; real-time safe after construction.
class PitchListener {
 public:
  // The network must outlive it.
  PitchListener(const PitchNetwork& network, const kernels::KernelTable& kernels);
  void reset() PYVOC_RT;

  // Where the next frame's inputs go: [88] and [224], all within -1..1.
  float* phases() PYVOC_RT { return phases_; }
  float* correlation() PYVOC_RT { return plane(0, newest_); }

  // The logits [180] of the frame, valid until the next call.
  const float* step() PYVOC_RT;

 private:
  // Lags of a channel, 0 being the correlations and 1.. the first convolution's outputs, in one of
  // the last three frames; there is a zero on each side.
  float* plane(int channel, int frame) PYVOC_RT {
    return planes_ + (channel * kPitchTaps + frame) * kPlane + nn::kVector;
  }
  static constexpr int kPlane = kPitchLags + 2 * nn::kVector;
  static constexpr int kMostRows = 9 * kMostPitchChannels + 1;

  void convolve(int first, int channels, const float* weights, float bias, float* out) PYVOC_RT;
  void run(const nn::DenseLayer& layer, const float* x, float* y) PYVOC_RT {
    nn::run_bounded(layer, kernels_, x, bytes_, sums_, y);
  }

  const PitchNetwork& net_;
  const kernels::KernelTable& kernels_;
  Arena arena_;
  nn::GruState state_;
  float* phases_ = nullptr;  // [88 padded]
  float* hidden_ = nullptr;  // [phases1]
  float* joined_ = nullptr;  // [224 + phases2]
  float* down_ = nullptr;
  float* input_ = nullptr;
  float* logits_ = nullptr;
  float* planes_ = nullptr;
  float* ones_ = nullptr;  // [224]
  std::uint8_t* bytes_ = nullptr;
  std::int32_t* sums_ = nullptr;
  int newest_ = 0;
};

// From logits [180] to octaves below 353 Hz: log2(256 / T) - 1.5 of a period of T samples, within
// -1.5..1.5 whatever they are.
float pitch_of(const float* logits) PYVOC_RT;

}  // namespace pyvoc::dsp
#endif  // PYVOC_DSP_PITCH_NETWORK_H_
