// LPCNet (Valin & Skoglund 2019): xiph/LPCNet latest, the 2019 model and the end-to-end variant.
#ifndef PYVOC_MODELS_LPCNET_LPCNET_H_
#define PYVOC_MODELS_LPCNET_LPCNET_H_

#include <functional>
#include <memory>

#include "models/loaded.h"
#include "models/lpcnet/synthesis.h"

namespace pyvoc::models::lpcnet {

class Lpcnet final : public Loaded<Config, Weights> {
 public:
  using Loaded::Loaded;

  std::unique_ptr<Session> open(const SessionSettings& settings) const override {
    return start(settings.seed);
  }
  void run(Session* const* sessions, const int* at, float* const* samples, int count,
           std::size_t n) const PYVOC_RT override;
  Status predict(Matrix<const float> features, Span<const float> pcm,
                 float* probabilities) const override;

  // Forces `pcm` (-1..1, aligned with the frames) sample by sample and calls
  // visit(i, session, step, code) after each: the step's inputs and states, the code that was
  // forced.
  using Visit = std::function<void(std::size_t, Synthesis&, const Step&, int)>;
  void teacher_force(Matrix<const float> features, Span<const float> pcm, const Visit& visit) const;

  std::unique_ptr<Synthesis> start(std::uint64_t seed) const {
    return std::make_unique<Synthesis>(config_, weights_, kernels_, analysis_, seed);
  }

 private:
  dsp::CepstralAnalysis analysis_;
};

}  // namespace pyvoc::models::lpcnet
#endif  // PYVOC_MODELS_LPCNET_LPCNET_H_
