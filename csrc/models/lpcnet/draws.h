// Where LPCNet's random numbers come from: the caller's uniforms first, then KISS99 (Marsaglia
// 1999, with the shifts of upstream LPCNet). Seed 0 is upstream's own seeding. Real-time safe.
#ifndef PYVOC_MODELS_LPCNET_DRAWS_H_
#define PYVOC_MODELS_LPCNET_DRAWS_H_

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "base/realtime.h"
#include "base/span.h"

namespace pyvoc::models::lpcnet {

class Kiss99 {
 public:
  void seed(std::uint64_t seed) PYVOC_RT {
    z_ = 362436069, w_ = 521288629, jsr_ = 123456789, jcong_ = 380116160;
    const char name[] = {'L', 'P', 'C', 'N', 'e', 't'};
    feed(reinterpret_cast<const unsigned char*>(name), sizeof name, seed);
    // Values from which the generators would cycle early (Rose 2018).
    if (z_ == 0 || z_ == 0x9068ffffu) ++z_;
    if (w_ == 0 || w_ == 0x464fffffu) ++w_;
    if (jsr_ == 0) ++jsr_;
  }

  std::uint32_t next() PYVOC_RT {
    z_ = 36969u * (z_ & 0xffffu) + (z_ >> 16);
    w_ = 18000u * (w_ & 0xffffu) + (w_ >> 16);
    jsr_ ^= jsr_ << 13;
    jsr_ ^= jsr_ >> 17;
    jsr_ ^= jsr_ << 5;
    jcong_ = 69069u * jcong_ + 1234567u;
    return (((z_ << 16) + w_) ^ jcong_) + jsr_;
  }

 private:
  // The bytes of the name and, when not 0, the seed's eight bytes go round the four states.
  void feed(const unsigned char* name, std::size_t n, std::uint64_t seed) PYVOC_RT {
    std::uint32_t* states[4] = {&z_, &w_, &jsr_, &jcong_};
    const std::size_t total = n + (seed != 0 ? 8 : 0);
    for (std::size_t i = 0; i < total; ++i) {
      const std::uint32_t byte =
          i < n ? name[i] : static_cast<std::uint32_t>(seed >> (8 * (i - n)) & 0xffu);
      *states[i % 4] ^= byte;
      if (i % 4 == 3) next();
    }
  }

  std::uint32_t z_ = 0, w_ = 0, jsr_ = 0, jcong_ = 0;
};

// A branch is taken when its logit is above -ln((1 - p) / p) with p = 0.025 + 0.95 u.
inline float logit_threshold(float u) PYVOC_RT {
  const float p = 0.025f + 0.95f * u;
  return static_cast<float>(-std::log(static_cast<double>((1.0f - p) / p)));
}

struct ThresholdTable {
  ThresholdTable() {
    for (int i = 0; i < 256; ++i) {
      const float p = 0.025f + 0.95f * static_cast<float>(i) / 255.0f;
      value[i] = static_cast<float>(-std::log(static_cast<double>((1.0f - p) / p)));
    }
  }
  float value[256];
};

class Draws {
 public:
  void reset(std::uint64_t seed) PYVOC_RT {
    kiss_.seed(seed);
    given_ = Span<const float>();
    used_ = 0;
  }

  void give(Span<const float> uniforms) PYVOC_RT {
    given_ = uniforms;
    used_ = 0;
  }

  // Logit thresholds of four decisions, spread over the lanes of a sub-tree: level l is lanes
  // 2^l .. 2^(l+1) - 1 of out [16].
  void thresholds(const ThresholdTable& table, float* out) PYVOC_RT {
    float level[4];
    if (given_.size() - used_ >= 4) {
      for (float& t : level) t = logit_threshold(given_[used_++]);
    } else {
      const std::uint32_t r = kiss_.next();
      for (int l = 0; l < 4; ++l) level[l] = table.value[r >> (8 * l) & 0xffu];
    }
    for (int l = 0; l < 4; ++l) {
      for (int lane = 1 << l; lane < 2 << l; ++lane) out[lane] = level[l];
    }
  }

  float uniform() PYVOC_RT {
    if (used_ < given_.size()) return given_[used_++];
    return static_cast<float>(kiss_.next() >> 8) * (1.0f / 16777216.0f);
  }

 private:
  Kiss99 kiss_;
  Span<const float> given_;
  std::size_t used_ = 0;
};

}  // namespace pyvoc::models::lpcnet
#endif  // PYVOC_MODELS_LPCNET_DRAWS_H_
