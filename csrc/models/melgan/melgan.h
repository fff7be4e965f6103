// MelGAN (Kumar et al., 2019): the generators of seungwonpark/melgan, descriptinc/melgan-neurips
// and MindSpore's model zoo.
#ifndef PYVOC_MODELS_MELGAN_MELGAN_H_
#define PYVOC_MODELS_MELGAN_MELGAN_H_

#include <memory>

#include "io/gguf.h"
#include "kernels/table.h"
#include "models/melgan/weights.h"
#include "models/vocoder.h"

namespace pyvoc::models::melgan {

class Melgan final : public Vocoder {
 public:
  // Checks everything before anything is packed. `file` is not needed afterwards.
  static Result<std::unique_ptr<Vocoder>> load(const io::Gguf& file,
                                               const kernels::KernelTable& kernels);

  const VocoderInfo& info() const override { return info_; }
  const std::vector<PlanEntry>& plan() const override { return weights_.plan; }
  std::size_t packed_bytes() const override { return weights_.arena.bytes(); }
  std::unique_ptr<Session> open(const SessionSettings& settings) const override;
  bool valid_frame(const float* frame) const PYVOC_RT override;
  Status observe(Matrix<const float> features, std::vector<Activations>& seen) const override;
  Status time_groups(Matrix<const float> features, std::vector<GroupTime>& groups) const override;

 private:
  explicit Melgan(const kernels::KernelTable& kernels) : kernels_(kernels) {}

  template <typename X>
  void time(Matrix<const float> features, GroupTime* groups) const;

  const kernels::KernelTable& kernels_;
  Config config_;
  Weights weights_;
  VocoderInfo info_;
};

}  // namespace pyvoc::models::melgan
#endif  // PYVOC_MODELS_MELGAN_MELGAN_H_
