// The check of samples that come from a caller.
#ifndef PYVOC_API_PCM_H_
#define PYVOC_API_PCM_H_

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "api/error.h"

namespace pyvoc::api {

// Sample rates in Hz that sound may have.
constexpr std::uint32_t kLeastRate = 4000, kMostRate = 384000;

// Full scale is 1; resamplers and models may overshoot, a signal on the s16 scale is a mistake.
// `beyond` is the sentence for samples outside of -limit..limit.
inline pyvoc_status check_pcm(const float* pcm, std::size_t n, float limit,
                              const char* beyond) noexcept {
  for (std::size_t i = 0; i < n; ++i) {
    if (std::fabs(pcm[i]) <= limit) continue;  // false for NaN
    return fail(Code::kAudio,
                std::isfinite(pcm[i]) ? beyond : "the PCM has NaN or infinite samples");
  }
  return PYVOC_OK;
}

// What no model gives, and a denoiser or resampler is not given.
constexpr float kMostSound = 100.0f;
inline pyvoc_status check_sound(const float* pcm, std::size_t n) noexcept {
  return check_pcm(pcm, n, kMostSound, "the PCM exceeds +-100; expected floats in -1..1");
}

}  // namespace pyvoc::api
#endif  // PYVOC_API_PCM_H_
