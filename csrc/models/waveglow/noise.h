// The noise that synthesis starts from: what the caller gave first, then a generator's that is a
// function of seed, part, step and channel. Part 0 is where the last flow starts from, part p what
// joins when the p-th channels join. Real-time safe.
#ifndef PYVOC_MODELS_WAVEGLOW_NOISE_H_
#define PYVOC_MODELS_WAVEGLOW_NOISE_H_

#include <cstdint>

#include "base/philox.h"
#include "base/span.h"
#include "models/waveglow/config.h"

namespace pyvoc::models::waveglow {

class Noise {
 public:
  explicit Noise(const Config& config)
      : groups_(config.groups),
        last_(config.channels.back()),
        early_(config.early_size),
        sigma_(config.sigma) {}

  void reset(std::uint64_t seed) PYVOC_RT {
    seed_ = seed;
    given_ = Span<const float>();
  }

  void set_sigma(float sigma) PYVOC_RT { sigma_ = sigma; }

  // Standard normal numbers of the first size / groups steps: part after part, each
  // [channels][steps]. Borrowed.
  void give(Span<const float> draws) PYVOC_RT { given_ = draws; }

  // What part `part` holds at a step, times sigma.
  void fill(int part, std::int64_t step, float* out) const PYVOC_RT {
    const int channels = part == 0 ? last_ : early_;
    const auto steps = static_cast<std::int64_t>(given_.size()) / groups_;
    if (step < steps) {
      const std::int64_t first = part == 0 ? 0 : last_ + std::int64_t{part - 1} * early_;
      const float* from = given_.data() + first * steps + step;
      for (int c = 0; c < channels; ++c) out[c] = sigma_ * from[c * steps];
      return;
    }
    for (int c = 0; c < channels; c += 4) {
      const PhiloxBlock counter = {
          static_cast<std::uint32_t>(step), static_cast<std::uint32_t>(step >> 32),
          static_cast<std::uint32_t>(part), static_cast<std::uint32_t>(c / 4)};
      const std::array<float, 4> normal = philox_normal(counter, seed_);
      for (int i = 0; i < 4 && c + i < channels; ++i) {
        out[c + i] = sigma_ * normal[static_cast<std::size_t>(i)];
      }
    }
  }

 private:
  int groups_, last_, early_;
  float sigma_;
  std::uint64_t seed_ = 0;
  Span<const float> given_;
};

}  // namespace pyvoc::models::waveglow
#endif  // PYVOC_MODELS_WAVEGLOW_NOISE_H_
