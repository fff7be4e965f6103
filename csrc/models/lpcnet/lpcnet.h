// LPCNet (Valin & Skoglund 2019): xiph/LPCNet latest, the 2019 model and the end-to-end variant.
#ifndef PYVOC_MODELS_LPCNET_LPCNET_H_
#define PYVOC_MODELS_LPCNET_LPCNET_H_

#include <functional>
#include <memory>

#include "io/gguf.h"
#include "kernels/table.h"
#include "models/lpcnet/synthesis.h"
#include "models/vocoder.h"

namespace pyvoc::models::lpcnet {

class Lpcnet final : public Vocoder {
 public:
  // Checks everything before anything is packed. `file` is not needed afterwards.
  static Result<std::unique_ptr<Vocoder>> load(const io::Gguf& file,
                                               const kernels::KernelTable& kernels);

  const VocoderInfo& info() const override { return info_; }
  const std::vector<PlanEntry>& plan() const override { return weights_.plan; }
  std::size_t packed_bytes() const override { return weights_.arena.bytes(); }
  std::unique_ptr<Session> open(const SessionSettings& settings) const override {
    return start(settings.seed);
  }
  void run(Session* const* sessions, const int* at, float* const* samples, int count,
           std::size_t n) const PYVOC_RT override;
  bool valid_frame(const float* frame) const PYVOC_RT override;
  Status predict(Matrix<const float> features, Span<const float> pcm,
                 float* probabilities) const override;

  // Forces `pcm` (-1..1, aligned with the frames) sample by sample and calls
  // visit(i, session, step, code) after each: the step's inputs and states, the code that was
  // forced.
  using Visit = std::function<void(std::size_t, Synthesis&, const Step&, int)>;
  void teacher_force(Matrix<const float> features, Span<const float> pcm, const Visit& visit) const;

  const Config& config() const { return config_; }
  std::unique_ptr<Synthesis> start(std::uint64_t seed) const {
    return std::make_unique<Synthesis>(config_, weights_, kernels_, analysis_, seed);
  }

 private:
  explicit Lpcnet(const kernels::KernelTable& kernels) : kernels_(kernels) {}

  const kernels::KernelTable& kernels_;
  Config config_;
  Weights weights_;
  VocoderInfo info_;
  dsp::CepstralAnalysis analysis_;
};

}  // namespace pyvoc::models::lpcnet
#endif  // PYVOC_MODELS_LPCNET_LPCNET_H_
