// WaveRNN (Kalchbrenner et al., 2018) as fatchord/WaveRNN and torchaudio have it: two GRUs and
// three fully connected layers per sample, a mixture of logistics or labels of any bits.
#ifndef PYVOC_MODELS_WAVERNN_WAVERNN_H_
#define PYVOC_MODELS_WAVERNN_WAVERNN_H_

#include <functional>
#include <memory>

#include "models/loaded.h"
#include "models/wavernn/synthesis.h"

namespace pyvoc::models::wavernn {

class Wavernn final : public Loaded<Config, Weights> {
 public:
  using Loaded::Loaded;

  std::unique_ptr<Session> open(const SessionSettings& settings) const override {
    return start(settings.seed, settings.threads);
  }
  void run(Session* const* sessions, const int* at, float* const* samples, int count,
           std::size_t n) const PYVOC_RT override;

  // The last layer's outputs: logits of labels, or the mixture's weights (logits), means and
  // logarithms of scales.
  Status predict(Matrix<const float> features, Span<const float> pcm,
                 float* outputs) const override;

  // Feeds `fed` sample by sample as it is, sample i before output i, beginning with the first
  // sample of frame `first`; visit(i, session, outputs) after each step.
  using Visit = std::function<void(std::size_t, const Synthesis&, const float*)>;
  void teacher_force(Matrix<const float> features, std::size_t first, Span<const float> fed,
                     const Visit& visit) const;

  std::unique_ptr<Synthesis> start(std::uint64_t seed, int threads = 1) const {
    return std::make_unique<Synthesis>(config_, weights_, kernels_, seed, threads);
  }

 private:
  float fed_back(float sample) const;
};

}  // namespace pyvoc::models::wavernn
#endif  // PYVOC_MODELS_WAVERNN_WAVERNN_H_
