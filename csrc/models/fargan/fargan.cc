#include "models/fargan/fargan.h"

#include <algorithm>

namespace pyvoc::models::fargan {
namespace {

// Far beyond what any sound gives (cepstra reach about 15, pitch and correlation about 2).
constexpr float kAbsurd = 100.0f;

VocoderInfo describe(const Config& c) {
  VocoderInfo info;
  info.architecture = "fargan";
  info.precision = c.precision;
  info.feature_layout = "opus20";
  info.layout_dims = info.feature_dims = kFeatures;
  info.least_feature = -kAbsurd;
  info.most_feature = kAbsurd;
  info.sample_rate = kSampleRate;
  info.hop_length = kFrameSize;
  info.lookahead_frames = kLookahead;
  info.early_samples = kEarly;
  info.prime_samples = kPriming;
  info.prime_frames = kPrimingFrames;
  return info;
}

}  // namespace

Result<std::unique_ptr<Vocoder>> load(const io::Gguf& file, const kernels::KernelTable& kernels) {
  return load_model<Fargan>(file, kernels, read_config, load_weights, describe);
}

void Fargan::run(Session* const* sessions, const int* at, float* const* samples, int count,
                 std::size_t n) const PYVOC_RT {
  constexpr std::size_t kGroup = kLockstep;
  for (std::size_t first = 0; first < n; first += kGroup) {
    const std::size_t size = std::min(kGroup, n - first);
    Synthesis* group[kGroup];
    for (std::size_t i = 0; i < size; ++i) group[i] = static_cast<Synthesis*>(sessions[first + i]);
    Synthesis::run(group, at + first, samples + first, count, static_cast<int>(size));
  }
}

}  // namespace pyvoc::models::fargan
