// From frames of the mel to rows of samples: a transposed convolution of all bands into all, as
// upstream has it, or of each band by itself, which is a matrix less. Immutable once packed; run()
// may be called from any thread.
#ifndef PYVOC_MODELS_WAVEGLOW_UPSAMPLING_H_
#define PYVOC_MODELS_WAVEGLOW_UPSAMPLING_H_

#include "base/arena.h"
#include "base/realtime.h"
#include "base/team.h"
#include "models/waveglow/config.h"
#include "nn/conv.h"

namespace pyvoc::models::waveglow {

class Upsampling {
 public:
  Upsampling() = default;

  // Of all bands into all.
  Upsampling(const nn::Conv& joint, const Config& config)
      : joint_(joint),
        history_(config.history),
        hop_(config.hop_length),
        width_(nn::padded(config.bands)) {}

  // Of each band by itself: a source of one output.
  Upsampling(const nn::ConvSource& source, const Config& config,
             const kernels::KernelTable& kernels, Arena& arena);

  // Of run(): floats that it works with.
  static std::size_t scratch(const Config& config) {
    const std::size_t width = static_cast<std::size_t>(nn::padded(config.bands));
    return config.apart ? static_cast<std::size_t>(config.hop_length) * width : 0;
  }

  // Samples of n frames, [hop][bands padded] each, as `out` says. mel: [history - 1 + n][bands
  // padded].
  void run(Team& team, const float* mel, int n, float* scratch,
           kernels::ConvOutput out) const PYVOC_RT;

 private:
  nn::Conv joint_;
  const kernels::KernelTable* kernels_ = nullptr;  // null: joint_
  int history_ = 0, hop_ = 0, width_ = 0;          // frames, samples, bands padded
  float* weights_ = nullptr;                       // [hop][history][bands padded], oldest first
  float* bias_ = nullptr;                          // [hop][bands padded]
};

}  // namespace pyvoc::models::waveglow
#endif  // PYVOC_MODELS_WAVEGLOW_UPSAMPLING_H_
