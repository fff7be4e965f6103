// Mu-law as LPCNet uses it: 8-bit codes of s16-scaled values, code 128 is silence.
//
// The logarithm is upstream's polynomial approximation, so codes agree index by index. Real-time
// safe.
#ifndef PYVOC_DSP_MULAW_H_
#define PYVOC_DSP_MULAW_H_

#include <cmath>
#include <cstdint>
#include <cstring>

#include "base/realtime.h"

namespace pyvoc::dsp {

constexpr float kLog256 = 5.5451774445f;

// ln x for a positive, normal x, to about 1e-3: exponent plus a cubic in the mantissa.
inline float log_approx(float x) PYVOC_RT {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  const std::int32_t exponent = static_cast<std::int32_t>(bits >> 23) - 127;
  bits -= static_cast<std::uint32_t>(exponent) << 23;
  float mantissa;
  std::memcpy(&mantissa, &bits, sizeof mantissa);
  const float f = mantissa - 1.5f;
  const float poly = -0.41445418f + f * (0.95909232f + f * (-0.33951290f + f * 0.16541097f));
  return 0.69315f * (static_cast<float>(1 + exponent) + poly);
}

// s16-scaled value -> code 0..255.
inline int mulaw_encode(float x) PYVOC_RT {
  const float sign = x >= 0.0f ? 1.0f : -1.0f;
  const float magnitude = 128.0f * log_approx(1.0f + 255.0f / 32768.0f * std::fabs(x)) / kLog256;
  float u = 128.0f + sign * magnitude;
  if (u < 0.0f) u = 0.0f;
  if (u > 255.0f) u = 255.0f;
  return static_cast<int>(std::floor(0.5 + static_cast<double>(u)));
}

// Code (any value in 0..255) -> s16-scaled value.
inline float mulaw_decode(float code) PYVOC_RT {
  const float u = code - 128.0f;
  const float scale = (u >= 0.0f ? 1.0f : -1.0f) * (32768.0f / 255.0f);
  const double magnitude =
      std::exp(static_cast<double>(std::fabs(u)) / 128.0 * static_cast<double>(kLog256));
  return static_cast<float>(static_cast<double>(scale) * (magnitude - 1.0));
}

// mulaw_decode of every code [256]. The first call fills it: not on the audio thread.
inline const float* mulaw_decode_table() {
  struct Table {
    Table() {
      for (int i = 0; i < 256; ++i) value[i] = mulaw_decode(static_cast<float>(i));
    }
    float value[256];
  };
  static const Table table;
  return table.value;
}

}  // namespace pyvoc::dsp
#endif  // PYVOC_DSP_MULAW_H_
