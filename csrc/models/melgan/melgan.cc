// MelGAN (Kumar et al., 2019): the generators of seungwonpark/melgan, descriptinc/melgan-neurips
// and MindSpore's model zoo.
#include <algorithm>
#include <cstring>

#include "models/blocks.h"
#include "models/loaded.h"
#include "models/melgan/generator.h"

namespace pyvoc::models::melgan {
namespace {

template <typename X>
class Synthesis final : public Session {
 public:
  Synthesis(const Config& config, const Weights& weights, const kernels::KernelTable& kernels,
            int threads)
      : config_(config), generator_(config, weights, kernels, threads) {}

  void reset(std::uint64_t /*seed*/) PYVOC_RT override {
    generator_.reset();
    pushed_ = begun_ = 0;
    samples_ = 0;
    ended_ = false;
  }

  int begin(const float* frames, int n) PYVOC_RT override {
    generator_.drop(samples_);
    generator_.push(frames, n, false);
    pushed_ += n;
    return offer(std::max<std::int64_t>(pushed_ - config_.lookahead_frames() - begun_, 0));
  }

  int finish(int /*ahead*/) PYVOC_RT override {
    generator_.drop(samples_);
    if (!ended_) generator_.push(nullptr, 0, true);
    ended_ = true;
    return offer(std::min<std::int64_t>(pushed_ - begun_, kBlockFrames));
  }

  void run(int at, float* samples, int count) PYVOC_RT override {
    std::memcpy(samples, generator_.samples() + at,
                sizeof(float) * static_cast<std::size_t>(count));
  }

 private:
  int offer(std::int64_t hops) PYVOC_RT {
    begun_ += hops;
    samples_ = hops * config_.hop_length;
    return static_cast<int>(hops);
  }

  const Config& config_;
  Generator<X> generator_;
  std::int64_t pushed_ = 0, begun_ = 0;  // frames, hops
  std::int64_t samples_ = 0;             // of the hops begun last
  bool ended_ = false;
};

class Melgan final : public Loaded<Config, Weights> {
 public:
  using Loaded::Loaded;

  std::unique_ptr<Session> open(const SessionSettings& settings) const override;
  Status observe(Matrix<const float> features, std::vector<Activations>& seen) const override;
  Status time_groups(Matrix<const float> features, std::vector<GroupTime>& groups) const override;

 private:
  template <typename X>
  void time(Matrix<const float> features, GroupTime* groups) const;
};

std::unique_ptr<Session> Melgan::open(const SessionSettings& settings) const {
  if (weights_.integer) {
    return std::make_unique<Synthesis<std::uint8_t>>(config_, weights_, kernels_, settings.threads);
  }
  return std::make_unique<Synthesis<float>>(config_, weights_, kernels_, settings.threads);
}

Status Melgan::observe(Matrix<const float> features, std::vector<Activations>& seen) const {
  if (weights_.integer) {
    return Status(Code::kUnsupported, "the model is int8 already: calibrate the float one");
  }
  const std::size_t blocks = config_.dilations.size();
  int total = 0;
  for (const Stage& stage : config_.stages) {
    total += stage.inputs + 3 * static_cast<int>(blocks) * stage.outputs;
  }
  ActivationList list(seen, total);
  std::vector<StageActivations> stages;
  for (std::size_t k = 0; k < config_.stages.size(); ++k) {
    const std::string name = "stage." + std::to_string(k);
    const int channels = config_.stages[k].outputs;
    StageActivations stage{list.layer(name + ".up", config_.stages[k].inputs), {}};
    for (std::size_t j = 0; j < blocks; ++j) {
      const std::string block = name + ".block." + std::to_string(j);
      Activations* conv = list.layer(block + ".conv", channels);
      Activations* out = list.layer(block + ".out", channels);
      stage.blocks.push_back({conv, out, list.layer(block + ".shortcut", channels)});
    }
    stages.push_back(std::move(stage));
  }
  Generator<float> generator(config_, weights_, kernels_, 1);
  generator.observe(&stages);
  for (std::size_t i = 0; i < features.rows(); ++i) {
    generator.push(features[i].data(), 1, false);
    generator.drop(generator.count());
  }
  generator.push(nullptr, 0, true);
  return Status();
}

template <typename X>
void Melgan::time(Matrix<const float> features, GroupTime* groups) const {
  Generator<X> generator(config_, weights_, kernels_, 1);
  generator.time(groups);
  for_blocks(features, kBlockFrames, [&](const float* frames, int n) {
    generator.push(frames, n, false);
    generator.drop(generator.count());
  });
  generator.push(nullptr, 0, true);
}

Status Melgan::time_groups(Matrix<const float> features, std::vector<GroupTime>& groups) const {
  if (groups.empty()) {
    groups.push_back({"conv_in", 0.0});
    for (std::size_t k = 0; k < config_.stages.size(); ++k) {
      groups.push_back({"up " + std::to_string(k), 0.0});
      groups.push_back({"stage " + std::to_string(k), 0.0});
    }
    groups.push_back({"conv_out", 0.0});
  }
  if (weights_.integer) {
    time<std::uint8_t>(features, groups.data());
  } else {
    time<float>(features, groups.data());
  }
  return Status();
}

VocoderInfo describe(const Config& c) {
  VocoderInfo info = describe_mel("melgan", c, c.lookahead_frames());
  info.block_frames = kBlockFrames;
  return info;
}

}  // namespace

Result<std::unique_ptr<Vocoder>> load(const io::Gguf& file, const kernels::KernelTable& kernels) {
  return load_model<Melgan>(file, kernels, read_config, load_weights, describe);
}

}  // namespace pyvoc::models::melgan
