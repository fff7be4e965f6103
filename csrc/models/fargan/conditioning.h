// From a frame of features to the conditioning of its four subframes. Real-time safe after the
// constructor; one thread.
#ifndef PYVOC_MODELS_FARGAN_CONDITIONING_H_
#define PYVOC_MODELS_FARGAN_CONDITIONING_H_

#include "base/arena.h"
#include "base/realtime.h"
#include "kernels/table.h"
#include "models/fargan/config.h"
#include "models/fargan/weights.h"

namespace pyvoc::models::fargan {

// Samples, within kLeastPeriod .. kMostPeriod whatever the frame [kFeatures] says.
int period_of(const float* frame) PYVOC_RT;

class Conditioning {
 public:
  // Books its buffers in `arena`; config and weights must outlive it.
  Conditioning(const Config& config, const Weights& weights, const kernels::KernelTable& kernels,
               Arena& arena);

  void reset() PYVOC_RT;  // zeros before the first frame

  // The conditioning [kSubframes][cond] of a frame [kFeatures], given those before.
  void process(const float* frame, float* cond) PYVOC_RT;

 private:
  void run(const DenseLayer& layer, const float* x, int n, float* y) PYVOC_RT;

  const Config& config_;
  const Weights& weights_;
  const kernels::KernelTable& kernels_;
  float* inputs_ = nullptr;  // [kFeatures + pitch_dims]
  float* first_ = nullptr;   // [cond1 padded]
  float* frames_ = nullptr;  // [kTaps][cond1], oldest first
  float* second_ = nullptr;  // [cond2 padded]
  float* outputs_ = nullptr;
  std::uint8_t* bytes_ = nullptr;
  std::int32_t* sums_ = nullptr;
};

}  // namespace pyvoc::models::fargan
#endif  // PYVOC_MODELS_FARGAN_CONDITIONING_H_
