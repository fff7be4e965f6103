// FARGAN (Valin, Mustafa & Buethe, 2024), the vocoder of Opus 1.5 and 1.6: 16 kHz, 40 samples at a
// time, around a prediction from a pitch period ago. Nothing is drawn.
#ifndef PYVOC_MODELS_FARGAN_FARGAN_H_
#define PYVOC_MODELS_FARGAN_FARGAN_H_

#include <memory>

#include "models/fargan/synthesis.h"
#include "models/loaded.h"

namespace pyvoc::models::fargan {

class Fargan final : public Loaded<Config, Weights> {
 public:
  using Loaded::Loaded;

  std::unique_ptr<Session> open(const SessionSettings& /*settings*/) const override {
    return start();
  }
  const dsp::PitchNetwork* pitch_network() const override {
    return weights_.pitch ? &*weights_.pitch : nullptr;
  }
  void run(Session* const* sessions, const int* at, float* const* samples, int count,
           std::size_t n) const PYVOC_RT override;

  std::unique_ptr<Synthesis> start() const {
    return std::make_unique<Synthesis>(config_, weights_, kernels_);
  }
};

}  // namespace pyvoc::models::fargan
#endif  // PYVOC_MODELS_FARGAN_FARGAN_H_
