#include "dsp/pitch_network.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace pyvoc::dsp {
namespace {

constexpr int kReach = 2;              // classes on each side that have a say
constexpr float kLeastLogit = -1.0f;   // of a class that is chosen; otherwise class 0
constexpr double kOctave = 60.0;       // classes
constexpr double kLowestPitch = -1.5;  // class 0

std::size_t size(int n) { return static_cast<std::size_t>(n); }

}  // namespace

PitchListener::PitchListener(const PitchNetwork& network, const kernels::KernelTable& kernels)
    : net_(network), kernels_(kernels) {
  const nn::DenseLayer* layers[] = {&net_.phases1, &net_.phases2, &net_.down, &net_.input,
                                    &net_.out};
  int outputs = 0, inputs = 0;
  for (const nn::DenseLayer* layer : layers) {
    outputs = std::max(outputs, layer->matrix.outputs());
    inputs = std::max(inputs, nn::padded(layer->matrix.description().cols));
  }
  phases_ = arena_.allocate<float>(size(nn::padded(kPhaseFeatures)));
  hidden_ = arena_.allocate<float>(size(net_.phases1.matrix.outputs()));
  joined_ = arena_.allocate<float>(size(kPitchLags + net_.phases2.matrix.outputs()));
  down_ = arena_.allocate<float>(size(net_.down.matrix.outputs()));
  input_ = arena_.allocate<float>(size(net_.input.matrix.outputs()));
  logits_ = arena_.allocate<float>(size(net_.out.matrix.outputs()));
  planes_ = arena_.allocate<float>(size((1 + net_.channels) * kPitchTaps * kPlane));
  ones_ = arena_.allocate<float>(size(kPitchLags));
  std::fill(ones_, ones_ + kPitchLags, 1.0f);
  bytes_ = arena_.allocate<std::uint8_t>(size(inputs));
  sums_ = arena_.allocate<std::int32_t>(size(outputs));
  state_ = net_.gru.make_state(arena_);
  reset();
}

void PitchListener::reset() PYVOC_RT {
  std::memset(planes_, 0, sizeof(float) * size((1 + net_.channels) * kPitchTaps * kPlane));
  net_.gru.reset(state_);
  newest_ = 0;
}

// out [224] = tanh of the bias and the products of the channels from `first` on.
void PitchListener::convolve(int first, int channels, const float* weights, float bias,
                             float* out) PYVOC_RT {
  const float* rows[kMostRows];
  float factors[kMostRows];
  int n = 0;
  for (int channel = 0; channel < channels; ++channel) {
    for (int frame = 1; frame <= kPitchTaps; ++frame) {  // the oldest first
      const float* lags = plane(first + channel, (newest_ + frame) % kPitchTaps);
      for (int tap = -1; tap <= 1; ++tap) rows[n++] = lags + tap;
    }
  }
  std::copy(weights, weights + n, factors);
  rows[n] = ones_;
  factors[n] = bias;
  kernels_.mix_rows_f32(rows, factors, n + 1, out, kPitchLags);
  kernels_.tanh_f32(out, kPitchLags);
}

const float* PitchListener::step() PYVOC_RT {
  run(net_.phases1, phases_, hidden_);
  kernels_.tanh_f32(hidden_, net_.phases1.matrix.outputs());
  float* heard = joined_ + kPitchLags;
  run(net_.phases2, hidden_, heard);
  kernels_.tanh_f32(heard, net_.phases2.matrix.outputs());

  constexpr int kTaps = kPitchTaps * kPitchTaps;
  const float* biases = net_.conv1 + kTaps * net_.channels;
  for (int channel = 0; channel < net_.channels; ++channel) {
    convolve(0, 1, net_.conv1 + kTaps * channel, biases[channel], plane(1 + channel, newest_));
  }
  convolve(1, net_.channels, net_.conv2, net_.conv2[kTaps * net_.channels], joined_);

  run(net_.down, joined_, down_);
  kernels_.tanh_f32(down_, net_.down.matrix.outputs());
  run(net_.input, down_, input_);
  net_.gru.update(state_, input_, nullptr);
  net_.gru.multiply(state_);
  run(net_.out, state_.h, logits_);
  newest_ = (newest_ + 1) % kPitchTaps;
  return logits_;
}

float pitch_of(const float* logits) PYVOC_RT {
  int at = 0;
  float most = kLeastLogit;
  for (int i = 0; i < kPitchClasses; ++i) {
    if (logits[i] > most) {
      most = logits[i];
      at = i;
    }
  }
  const int first = std::max(at - kReach, 0), last = std::min(at + kReach, kPitchClasses - 1);
  const double top = *std::max_element(logits + first, logits + last + 1);
  double total = 0.0, sum = 0.0;
  for (int i = first; i <= last; ++i) {
    const double weight = std::exp(logits[i] - top);
    total += weight;
    sum += weight * i;
  }
  double mean = sum / total;
  if (!(mean >= first && mean <= last)) mean = at;  // of logits that are no numbers
  return static_cast<float>(mean / kOctave + kLowestPitch);
}

}  // namespace pyvoc::dsp
