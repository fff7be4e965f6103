// WaveRNN (Kalchbrenner et al., 2018) as fatchord/WaveRNN and torchaudio have it: two GRUs and
// three fully connected layers per sample, a mixture of logistics or labels of any bits.
#ifndef PYVOC_MODELS_WAVERNN_WAVERNN_H_
#define PYVOC_MODELS_WAVERNN_WAVERNN_H_

#include <functional>
#include <memory>

#include "io/gguf.h"
#include "kernels/table.h"
#include "models/vocoder.h"
#include "models/wavernn/synthesis.h"

namespace pyvoc::models::wavernn {

class Wavernn final : public Vocoder {
 public:
  // Checks everything before anything is packed. `file` is not needed afterwards.
  static Result<std::unique_ptr<Vocoder>> load(const io::Gguf& file,
                                               const kernels::KernelTable& kernels);

  const VocoderInfo& info() const override { return info_; }
  const std::vector<PlanEntry>& plan() const override { return weights_.plan; }
  std::size_t packed_bytes() const override { return weights_.arena.bytes(); }
  std::unique_ptr<Session> open(const SessionSettings& settings) const override {
    return start(settings.seed, settings.threads);
  }
  void run(Session* const* sessions, const int* at, float* const* samples, int count,
           std::size_t n) const PYVOC_RT override;
  bool valid_frame(const float* frame) const PYVOC_RT override;

  // The last layer's outputs: logits of labels, or the mixture's weights (logits), means and
  // logarithms of scales.
  Status predict(Matrix<const float> features, Span<const float> pcm,
                 float* outputs) const override;

  // Feeds `fed` sample by sample as it is, sample i before output i, beginning with the first
  // sample of frame `first`; visit(i, session, outputs) after each step.
  using Visit = std::function<void(std::size_t, const Synthesis&, const float*)>;
  void teacher_force(Matrix<const float> features, std::size_t first, Span<const float> fed,
                     const Visit& visit) const;

  const Config& config() const { return config_; }
  const Weights& weights() const { return weights_; }
  std::unique_ptr<Synthesis> start(std::uint64_t seed, int threads = 1) const {
    return std::make_unique<Synthesis>(config_, weights_, kernels_, seed, threads);
  }

 private:
  explicit Wavernn(const kernels::KernelTable& kernels) : kernels_(kernels) {}
  float fed_back(float sample) const;

  const kernels::KernelTable& kernels_;
  Config config_;
  Weights weights_;
  VocoderInfo info_;
};

}  // namespace pyvoc::models::wavernn
#endif  // PYVOC_MODELS_WAVERNN_WAVERNN_H_
