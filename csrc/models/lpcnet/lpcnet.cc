#include "models/lpcnet/lpcnet.h"

#include <cmath>

namespace pyvoc::models::lpcnet {
namespace {

// Far beyond what any sound gives (cepstra reach about 15, pitch and correlation about 3).
constexpr float kAbsurd = 100.0f;

}  // namespace

Result<std::unique_ptr<Vocoder>> Lpcnet::load(const io::Gguf& file,
                                              const kernels::KernelTable& kernels) {
  Result<Config> config = read_config(file);
  if (!config.ok()) return config.status();
  std::unique_ptr<Lpcnet> model(new Lpcnet(kernels));
  model->config_ = config.value();
  const Config& c = model->config_;
  Status status = load_weights(file, c, kernels, model->weights_);
  if (!status.ok()) return status;
  model->info_ = {"lpcnet",
                  c.precision,
                  c.layout,
                  c.layout_dims,
                  c.feature_dims,
                  kSampleRate,
                  kFrameSize,
                  c.lookahead,
                  1,
                  c.sampling == Sampling::kTree ? 8 : 1,
                  kLevels};
  return std::unique_ptr<Vocoder>(std::move(model));
}

bool Lpcnet::valid_frame(const float* frame) const PYVOC_RT {
  for (int i = 0; i < config_.feature_dims; ++i) {
    if (!(std::fabs(frame[i]) <= kAbsurd)) return false;  // NaN too
  }
  return true;
}

void Lpcnet::run(Session* const* sessions, const int* at, float* const* samples, int count,
                 std::size_t n) const PYVOC_RT {
  constexpr std::size_t kGroup = kLockstep;
  std::size_t first = 0;
  for (; Synthesis::lockstep(weights_) && first + kGroup <= n; first += kGroup) {
    Synthesis* group[kGroup];
    for (std::size_t i = 0; i < kGroup; ++i)
      group[i] = static_cast<Synthesis*>(sessions[first + i]);
    Synthesis::run_lockstep(group, samples + first, count);
  }
  for (; first < n; ++first) sessions[first]->run(at[first], samples[first], count);
}

void Lpcnet::teacher_force(Matrix<const float> features, Span<const float> pcm,
                           const Visit& visit) const {
  std::unique_ptr<Synthesis> session = start(0);
  std::size_t frame = 0;  // the next one to push
  float previous = 0.0f;
  for (std::size_t i = 0; i < pcm.size(); ++i) {
    if (i % kFrameSize == 0) {
      int begun = 0;
      while (begun == 0) {
        begun = frame < features.rows() ? session->begin(features[frame].data(), 1)
                                        : session->finish(0);
        ++frame;
      }
    }
    Step step;
    const float sample = pcm[i] * 32768.0f;
    const int code = session->force(sample - kPreemphasis * previous, step);
    previous = sample;
    visit(i, *session, step, code);
  }
}

Status Lpcnet::predict(Matrix<const float> features, Span<const float> pcm,
                       float* probabilities) const {
  float logits[kLevels];
  teacher_force(features, pcm, [&](std::size_t i, Synthesis& session, const Step&, int) {
    session.distribution(logits, probabilities + i * kLevels);
  });
  return Status();
}

}  // namespace pyvoc::models::lpcnet
