#include "models/melgan/melgan.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "models/melgan/generator.h"

namespace pyvoc::models::melgan {
namespace {

// Far beyond any log mel, in decibels too.
constexpr float kAbsurd = 1000.0f;

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

}  // namespace

Result<std::unique_ptr<Vocoder>> Melgan::load(const io::Gguf& file,
                                              const kernels::KernelTable& kernels) {
  Result<Config> config = read_config(file);
  if (!config.ok()) return config.status();
  std::unique_ptr<Melgan> model(new Melgan(kernels));
  model->config_ = config.value();
  const Config& c = model->config_;
  Status status = load_weights(file, c, kernels, model->weights_);
  if (!status.ok()) return status;
  VocoderInfo& info = model->info_;
  info.architecture = "melgan";
  info.precision = c.precision;
  info.feature_layout = "mel";
  info.layout_dims = info.feature_dims = c.bands;
  info.sample_rate = c.sample_rate;
  info.hop_length = c.hop_length;
  info.lookahead_frames = c.lookahead_frames();
  info.block_frames = kBlockFrames;
  return std::unique_ptr<Vocoder>(std::move(model));
}

std::unique_ptr<Session> Melgan::open(const SessionSettings& settings) const {
  if (weights_.integer) {
    return std::make_unique<Synthesis<std::uint8_t>>(config_, weights_, kernels_, settings.threads);
  }
  return std::make_unique<Synthesis<float>>(config_, weights_, kernels_, settings.threads);
}

bool Melgan::valid_frame(const float* frame) const PYVOC_RT {
  for (int i = 0; i < config_.bands; ++i) {
    if (!(std::fabs(frame[i]) <= kAbsurd)) return false;  // NaN too
  }
  return true;
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
  const std::size_t block = kBlockFrames;
  std::vector<float> frames(block * features.cols());
  for (std::size_t i = 0; i < features.rows(); i += block) {
    const std::size_t n = std::min(block, features.rows() - i);
    for (std::size_t r = 0; r < n; ++r) {
      std::copy_n(features[i + r].data(), features.cols(), frames.data() + r * features.cols());
    }
    generator.push(frames.data(), static_cast<int>(n), false);
    generator.drop(generator.count());
  }
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

}  // namespace pyvoc::models::melgan
