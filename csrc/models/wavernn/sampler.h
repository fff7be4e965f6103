// From the last layer's outputs to a sample: the draw from a mixture of logistics or from labels,
// and where its random numbers come from, the caller's uniforms first. Real-time safe.
//
// Draws of a sample: a mixture takes one uniform for each logistic, which chooses among them, and
// one more for the logistic that was chosen; labels take one.
#ifndef PYVOC_MODELS_WAVERNN_SAMPLER_H_
#define PYVOC_MODELS_WAVERNN_SAMPLER_H_

#include <cstddef>
#include <cstdint>

#include "base/arena.h"
#include "base/realtime.h"
#include "base/span.h"
#include "kernels/table.h"
#include "models/wavernn/config.h"

namespace pyvoc::models::wavernn {

// The caller's uniforms, then SplitMix64 (Steele, Lea & Flood 2014).
class Draws {
 public:
  void reset(std::uint64_t seed) PYVOC_RT {
    state_ = seed;
    give({});
  }

  void give(Span<const float> uniforms) PYVOC_RT {
    given_ = uniforms;
    used_ = 0;
  }

  // n uniforms, all given ones or all our own.
  void take(float* u, std::size_t n) PYVOC_RT {
    if (given_.size() - used_ >= n) {
      for (std::size_t i = 0; i < n; ++i) u[i] = given_[used_++];
    } else {
      for (std::size_t i = 0; i < n; ++i) u[i] = uniform();
    }
  }

 private:
  float uniform() PYVOC_RT {
    state_ += 0x9e3779b97f4a7c15u;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return static_cast<float>((z ^ (z >> 31)) >> 40) * 0x1p-24f;
  }

  std::uint64_t state_ = 0;
  Span<const float> given_;
  std::size_t used_ = 0;
};

struct Drawn {
  float fed_back;  // -1..1, companded where labels are mu-law codes
  float heard;     // -1..1
};

class Sampler {
 public:
  Sampler(const Config& config, const float* amplitudes, const kernels::KernelTable& kernels,
          Arena& arena);

  // outputs [padded]; see Weights::fc3_bias.
  Drawn draw(const float* outputs, Draws& draws) PYVOC_RT;

 private:
  float draw_mixture(const float* outputs, Draws& draws) PYVOC_RT;
  int draw_label(const float* outputs, Draws& draws) PYVOC_RT;

  const Config& config_;
  const float* amplitudes_;
  const kernels::KernelTable& kernels_;
  float* uniforms_ = nullptr;  // [mixtures + 1]
  float* scratch_ = nullptr;   // of draw_label_f32
};

}  // namespace pyvoc::models::wavernn
#endif  // PYVOC_MODELS_WAVERNN_SAMPLER_H_
