// LpcResidual: what a predictor leaves of a signal, frame by frame. One thread at a time; real-time
// safe.
#ifndef PYVOC_DSP_LPC_RESIDUAL_H_
#define PYVOC_DSP_LPC_RESIDUAL_H_

#include <algorithm>
#include <cstring>

#include "base/realtime.h"
#include "dsp/lpc_cepstrum.h"
#include "kernels/table.h"

namespace pyvoc::dsp {

constexpr int kFrame = 160;  // samples per 10 ms frame

class LpcResidual {
 public:
  explicit LpcResidual(const kernels::KernelTable& table) : kernels_(&table) { reset(); }
  void reset() PYVOC_RT { std::memset(input_, 0, sizeof input_); }

  // x, residual [160]; lpc [16].
  void frame(const float* x, const float* lpc, float* residual) PYVOC_RT {
    std::copy(x, x + kFrame, input_ + kLpcOrder);
    kernels_->fir_f32(input_ + kLpcOrder, lpc, kLpcOrder, kFrame, residual);
    std::copy(input_ + kFrame, input_ + kFrame + kLpcOrder, input_);
  }

 private:
  const kernels::KernelTable* kernels_;
  float input_[kLpcOrder + kFrame];  // the last 16 samples, then the frame's
};

}  // namespace pyvoc::dsp
#endif  // PYVOC_DSP_LPC_RESIDUAL_H_
