#include "models/lpcnet/lpcnet.h"

namespace pyvoc::models::lpcnet {
namespace {

// Far beyond what any sound gives (cepstra reach about 15, pitch and correlation about 3).
constexpr float kAbsurd = 100.0f;

VocoderInfo describe(const Config& c) {
  VocoderInfo info;
  info.architecture = "lpcnet";
  info.precision = c.precision;
  info.feature_layout = c.layout;
  info.layout_dims = c.layout_dims;
  info.feature_dims = c.feature_dims;
  info.least_feature = -kAbsurd;
  info.most_feature = kAbsurd;
  info.sample_rate = kSampleRate;
  info.hop_length = kFrameSize;
  info.lookahead_frames = c.lookahead;
  info.draws_per_sample = c.sampling == Sampling::kTree ? 8 : 1;
  info.distribution_size = kLevels;
  info.comb = c.comb;
  return info;
}

}  // namespace

Result<std::unique_ptr<Vocoder>> load(const io::Gguf& file, const kernels::KernelTable& kernels) {
  return load_model<Lpcnet>(file, kernels, read_config, load_weights, describe);
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
