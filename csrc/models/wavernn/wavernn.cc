#include "models/wavernn/wavernn.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace pyvoc::models::wavernn {
namespace {

// A normalised mel is 0..1; networks that predict it go a little beyond.
constexpr float kLeast = -0.5f, kMost = 1.5f;

VocoderInfo describe(const Config& c) {
  VocoderInfo info = describe_mel("wavernn", c, c.pad);
  if (c.normalized) {
    info.least_feature = kLeast;
    info.most_feature = kMost;
  }
  info.draws_per_sample = c.mixtures() + 1;
  info.distribution_size = c.outputs;
  info.foldable = true;
  info.comb = c.comb;
  return info;
}

}  // namespace

Result<std::unique_ptr<Vocoder>> load(const io::Gguf& file, const kernels::KernelTable& kernels) {
  return load_model<Wavernn>(file, kernels, read_config, load_weights, describe);
}

void Wavernn::run(Session* const* sessions, const int* at, float* const* samples, int count,
                  std::size_t n) const PYVOC_RT {
  constexpr std::size_t kGroup = kLockstep;
  for (std::size_t first = 0; first < n; first += kGroup) {
    const std::size_t size = std::min(kGroup, n - first);
    Synthesis* group[kGroup];
    for (std::size_t i = 0; i < size; ++i) group[i] = static_cast<Synthesis*>(sessions[first + i]);
    Synthesis::run(group, at + first, samples + first, count, static_cast<int>(size));
  }
}

// What the network hears of a sample (-1..1): labels are the nearest ones, as in training.
float Wavernn::fed_back(float sample) const {
  sample = std::min(std::max(sample, -1.0f), 1.0f);
  if (config_.mode == Mode::kMol) return sample;
  const double most = config_.outputs - 1;
  double x = static_cast<double>(sample);
  if (config_.mu_law) {
    x = std::copysign(std::log1p(most * std::fabs(x)) / std::log1p(most), x);
  }
  const double label = std::floor((x + 1.0) / 2.0 * most + 0.5);
  return static_cast<float>(2.0 * label / most - 1.0);
}

void Wavernn::teacher_force(Matrix<const float> features, std::size_t first, Span<const float> fed,
                            const Visit& visit) const {
  const std::unique_ptr<Synthesis> session = start(0);
  const std::size_t hop = static_cast<std::size_t>(config_.hop_length);
  std::size_t next = 0, heard = 0;  // frames
  for (std::size_t i = 0; i < fed.size(); ++i) {
    while (i % hop == 0 && heard <= first + i / hop) {
      heard += static_cast<std::size_t>(
          next < features.rows() ? session->begin(features[next].data(), 1) : session->finish(0));
      ++next;
    }
    visit(i, *session, session->step(static_cast<int>(i % hop), fed[i]));
  }
}

Status Wavernn::predict(Matrix<const float> features, Span<const float> pcm, float* outputs) const {
  std::vector<float> fed(pcm.size(), 0.0f);
  for (std::size_t i = 1; i < pcm.size(); ++i) fed[i] = fed_back(pcm[i - 1]);
  const std::size_t width = static_cast<std::size_t>(config_.outputs);
  teacher_force(features, 0, fed, [&](std::size_t i, const Synthesis&, const float* found) {
    std::copy(found, found + width, outputs + i * width);
  });
  return Status();
}

}  // namespace pyvoc::models::wavernn
