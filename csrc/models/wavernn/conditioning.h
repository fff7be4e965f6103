// What of WaveRNN's sample loop depends on the mel spectrogram alone, frame by frame: the residual
// network, and the linear layers' products with its output and with the mel. Upsampling the mel is
// linear and the same for every band, so the products are made per frame and interpolated after,
// by `phases` (weights.h). Zeros lie beyond both ends of the signal. Real-time safe after the
// constructor; one thread.
#ifndef PYVOC_MODELS_WAVERNN_CONDITIONING_H_
#define PYVOC_MODELS_WAVERNN_CONDITIONING_H_

#include "base/arena.h"
#include "base/realtime.h"
#include "kernels/table.h"
#include "models/wavernn/config.h"
#include "models/wavernn/weights.h"

namespace pyvoc::models::wavernn {

class Conditioning {
 public:
  // Books its buffers in `arena`; config and weights must outlive it.
  Conditioning(const Config& config, const Weights& weights, const kernels::KernelTable& kernels,
               Arena& arena);

  void reset() PYVOC_RT;

  // Takes frame [bands]; nullptr: zeros. True when the outputs below are those of a frame to be
  // heard, the one `pad` frames ago.
  bool process(const float* frame) PYVOC_RT;

  // Products of the mel of frame t - pad + tap with the inputs' weights: [weights.inputs].
  const float* product(int tap) const PYVOC_RT {
    return products_ + (newest_ + 1 + tap) % config_.taps() * weights_.inputs;
  }
  const float* constant() const PYVOC_RT { return constant_; }          // [weights.inputs]
  const float* fc2_constant() const PYVOC_RT { return fc2_constant_; }  // [fc padded]
  const float* aux() const PYVOC_RT { return aux_; }                    // [4 A], for tests

 private:
  void run_resnet() PYVOC_RT;

  const Config& config_;
  const Weights& weights_;
  const kernels::KernelTable& kernels_;
  long frames_ = 0;
  int newest_ = 0;                // row of products_
  float* window_ = nullptr;       // [taps][bands], oldest first
  float* products_ = nullptr;     // [taps][inputs], a ring
  float* stream_ = nullptr;       // [hidden padded]
  float* inner_ = nullptr;        // [hidden padded]
  float* aux_ = nullptr;          // [4 A padded]: a1 | a2 | a3 | a4
  float* first_third_ = nullptr;  // [2 A]: a1 | a3
  float* constant_ = nullptr;
  float* fc2_constant_ = nullptr;
};

}  // namespace pyvoc::models::wavernn
#endif  // PYVOC_MODELS_WAVERNN_CONDITIONING_H_
