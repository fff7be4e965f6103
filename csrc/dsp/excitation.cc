#include "dsp/excitation.h"

#include <algorithm>
#include <cstring>

#include "dsp/mulaw.h"

namespace pyvoc::dsp {
namespace {

constexpr float kPredictionLimit = 1e6f;  // the runtime's, far beyond any 16-bit signal

}  // namespace

Excitation::Excitation(int code) : decoded_(mulaw_decode_table()), code_(code) {}

// The order of the sum is upstream's, so that codes agree.
float Excitation::predict(const float* lpc) const PYVOC_RT {
  float p = 0.0f;
  for (int j = 0; j < kLpcOrder; ++j) p -= lpc[j] * signal_[j];
  return std::min(kPredictionLimit, std::max(-kPredictionLimit, p));
}

int Excitation::accept(float clean, float prediction, int noise) PYVOC_RT {
  const int code = mulaw_encode(clean - prediction);
  code_ = code + std::clamp(noise, -code, 255 - code);  // no sum that could overflow
  std::memmove(signal_ + 1, signal_, (kLpcOrder - 1) * sizeof(float));
  signal_[0] = prediction + decoded_[code_];
  return code;
}

void Excitation::run(const float* clean, const float* lpc, const std::int32_t* noise,
                     std::size_t frames, float* signal, std::uint8_t* codes) PYVOC_RT {
  for (std::size_t frame = 0; frame < frames; ++frame) {
    for (std::size_t i = frame * kFrame; i < (frame + 1) * kFrame; ++i) {
      const float p = predict(lpc + frame * kLpcOrder);
      codes[i] = static_cast<std::uint8_t>(accept(clean[i], p, noise[i]));
      signal[i] = signal_[0];
    }
  }
}

}  // namespace pyvoc::dsp
