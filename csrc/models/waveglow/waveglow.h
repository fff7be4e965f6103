// WaveGlow (Prenger et al., 2018): NVIDIA's flow-based vocoder.
#ifndef PYVOC_MODELS_WAVEGLOW_WAVEGLOW_H_
#define PYVOC_MODELS_WAVEGLOW_WAVEGLOW_H_

#include <memory>

#include "io/gguf.h"
#include "kernels/table.h"
#include "models/vocoder.h"
#include "models/waveglow/weights.h"

namespace pyvoc::models::waveglow {

class Waveglow final : public Vocoder {
 public:
  // Checks everything before anything is packed. `file` is not needed afterwards.
  static Result<std::unique_ptr<Vocoder>> load(const io::Gguf& file,
                                               const kernels::KernelTable& kernels);

  const VocoderInfo& info() const override { return info_; }
  const std::vector<PlanEntry>& plan() const override { return weights_.plan; }
  std::size_t packed_bytes() const override { return weights_.arena.bytes(); }
  std::unique_ptr<Session> open(const SessionSettings& settings) const override;
  bool valid_frame(const float* frame) const PYVOC_RT override;
  Status check_draws(Span<const float> draws) const override;
  Status observe(Matrix<const float> features, std::vector<Activations>& seen) const override;
  Status time_groups(Matrix<const float> features, std::vector<GroupTime>& groups) const override;
  Status forward(Matrix<const float> features, Span<const float> pcm, int threads, float* noise,
                 double* log_scales, double* log_dets) const override;

 private:
  Waveglow() = default;

  template <typename X>
  void time(Matrix<const float> features, GroupTime* groups) const;

  Config config_;
  Weights weights_;
  VocoderInfo info_;
};

}  // namespace pyvoc::models::waveglow
#endif  // PYVOC_MODELS_WAVEGLOW_WAVEGLOW_H_
