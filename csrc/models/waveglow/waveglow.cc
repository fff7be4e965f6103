// WaveGlow (Prenger et al., 2018): NVIDIA's flow-based vocoder.
#include <algorithm>
#include <cmath>

#include "models/blocks.h"
#include "models/loaded.h"
#include "models/waveglow/generator.h"
#include "models/waveglow/likelihood.h"

namespace pyvoc::models::waveglow {
namespace {

constexpr float kAbsurdDraw = 100.0f;  // standard deviations

template <typename X>
class Synthesis final : public Session {
 public:
  Synthesis(const Config& config, const Weights& weights, const SessionSettings& settings)
      : config_(config), generator_(config, weights, settings.threads) {
    if (settings.sigma) generator_.noise().set_sigma(*settings.sigma);
    const int own = config.lookahead_frames();
    if (settings.lookahead.value_or(own) < own) generator_.book_copy();
    generator_.reset(settings.seed);
  }

  Generator<X>& generator() { return generator_; }

  void reset(std::uint64_t seed) PYVOC_RT override {
    generator_.reset(seed);
    pushed_ = begun_ = 0;
    samples_ = 0;
  }

  void set_draws(Span<const float> draws) PYVOC_RT override { generator_.noise().give(draws); }

  int begin(const float* frames, int n) PYVOC_RT override {
    generator_.drop(samples_);
    generator_.push(frames, n);
    pushed_ += n;
    return offer(pushed_ - config_.lookahead_frames() - begun_);
  }

  int finish(int ahead) PYVOC_RT override {
    generator_.drop(samples_);
    const std::int64_t due = pushed_ - ahead;
    const int hops = offer(std::min<std::int64_t>(due - begun_, kBlockFrames));
    if (hops > 0) generator_.finish(samples_, due * config_.hop_length);
    return hops;
  }

  void run(int at, float* samples, int count) PYVOC_RT override {
    generator_.copy(at, samples, count);
  }

  bool orphaned() const PYVOC_RT override { return generator_.team().orphaned(); }

 private:
  int offer(std::int64_t hops) PYVOC_RT {
    hops = std::max<std::int64_t>(hops, 0);
    begun_ += hops;
    samples_ = hops * config_.hop_length;
    return static_cast<int>(hops);
  }

  const Config& config_;
  Generator<X> generator_;
  std::int64_t pushed_ = 0, begun_ = 0;  // frames, hops
  std::int64_t samples_ = 0;             // of the hops begun last
};

// A whole utterance, of which the samples are not wanted.
template <typename X>
void pass(Synthesis<X>& synthesis, Matrix<const float> features) {
  for_blocks(features, kBlockFrames,
             [&](const float* frames, int n) { synthesis.begin(frames, n); });
  while (synthesis.finish(0) > 0) {
  }
}

class Waveglow final : public Loaded<Config, Weights> {
 public:
  using Loaded::Loaded;

  std::unique_ptr<Session> open(const SessionSettings& settings) const override;
  Status check_draws(Span<const float> draws) const override;
  Status observe(Matrix<const float> features, std::vector<Activations>& seen) const override;
  Status time_groups(Matrix<const float> features, std::vector<GroupTime>& groups) const override;
  Status forward(Matrix<const float> features, Span<const float> pcm, int threads, float* noise,
                 double* log_scales, double* log_dets) const override;

 private:
  template <typename X>
  void time(Matrix<const float> features, GroupTime* groups) const;
};

std::unique_ptr<Session> Waveglow::open(const SessionSettings& settings) const {
  if (weights_.integer) {
    return std::make_unique<Synthesis<std::uint8_t>>(config_, weights_, settings);
  }
  return std::make_unique<Synthesis<float>>(config_, weights_, settings);
}

Status Waveglow::check_draws(Span<const float> draws) const {
  if (draws.size() % static_cast<std::size_t>(config_.groups) != 0) {
    return Status(Code::kArgument, std::to_string(draws.size()) + " draws are no whole steps of " +
                                       std::to_string(config_.groups) + " samples");
  }
  for (std::size_t i = 0; i < draws.size(); ++i) {
    if (!(std::fabs(draws[i]) <= kAbsurdDraw)) {
      return Status(Code::kArgument,
                    "draw " + std::to_string(i) + " is not within -100..100 standard deviations");
    }
  }
  return Status();
}

Status Waveglow::observe(Matrix<const float> features, std::vector<Activations>& seen) const {
  if (weights_.integer) {
    return Status(Code::kUnsupported, "the model is int8 already: calibrate the float one");
  }
  const int hidden = config_.hidden, inputs = config_.bands * config_.groups;
  ActivationList list(seen, inputs + 2 * hidden * config_.layers * config_.flows());
  Activations* condition = list.layer("cond", inputs);
  std::vector<LayerActivations> layers;
  for (int k = 0; k < config_.flows(); ++k) {
    for (int i = 0; i < config_.layers; ++i) {
      const std::string name = "flow." + std::to_string(k) + ".layer." + std::to_string(i);
      Activations* conv = list.layer(name + ".conv", hidden);
      layers.push_back({conv, list.layer(name + ".out", hidden)});
    }
  }
  Synthesis<float> synthesis(config_, weights_, SessionSettings());
  synthesis.generator().observe(layers, condition);
  pass(synthesis, features);
  return Status();
}

template <typename X>
void Waveglow::time(Matrix<const float> features, GroupTime* groups) const {
  Synthesis<X> synthesis(config_, weights_, SessionSettings());
  synthesis.generator().time(groups);
  pass(synthesis, features);
}

Status Waveglow::time_groups(Matrix<const float> features, std::vector<GroupTime>& groups) const {
  if (groups.empty()) {
    for (const char* name : {"upsample", "start", "conv+cond", "out", "skip", "couple+unmix"}) {
      groups.push_back({name, 0.0});
    }
  }
  if (weights_.integer) {
    time<std::uint8_t>(features, groups.data());
  } else {
    time<float>(features, groups.data());
  }
  return Status();
}

Status Waveglow::forward(Matrix<const float> features, Span<const float> pcm, int threads,
                         float* noise, double* log_scales, double* log_dets) const {
  const std::size_t groups = static_cast<std::size_t>(config_.groups);
  if (pcm.size() % groups != 0) {
    return Status(Code::kAudio, std::to_string(pcm.size()) + " samples are no whole steps of " +
                                    std::to_string(groups) + " samples");
  }
  for (int k = 0; k < config_.flows(); ++k) {
    if (std::isnan(weights_.flows[static_cast<std::size_t>(k)].log_det)) {
      return Status(Code::kUnsupported, "flow " + std::to_string(k) +
                                            ": the determinant of mix.weight is not positive, " +
                                            "so audio has no likelihood");
    }
  }
  for (int k = 0; k < config_.flows(); ++k) {
    log_scales[k] = 0.0;
    log_dets[k] = static_cast<double>(pcm.size() / groups) *
                  weights_.flows[static_cast<std::size_t>(k)].log_det;
  }
  if (weights_.integer) {
    Likelihood<std::uint8_t>(config_, weights_, threads).run(features, pcm, noise, log_scales);
  } else {
    Likelihood<float>(config_, weights_, threads).run(features, pcm, noise, log_scales);
  }
  const auto finite = [](double x) { return std::isfinite(x); };
  if (!std::all_of(noise, noise + pcm.size(), finite) ||
      !std::all_of(log_scales, log_scales + config_.flows(), finite)) {
    return Status(Code::kModel, "the flows turn this audio into noise that is not finite");
  }
  return Status();
}

VocoderInfo describe(const Config& c) {
  VocoderInfo info = describe_mel("waveglow", c, c.lookahead_frames());
  info.block_frames = kBlockFrames;
  info.draws_per_sample = 1;
  info.flows = c.flows();
  info.takes_sigma = true;
  info.takes_lookahead = true;
  return info;
}

}  // namespace

Result<std::unique_ptr<Vocoder>> load(const io::Gguf& file, const kernels::KernelTable& kernels) {
  return load_model<Waveglow>(file, kernels, read_config, load_weights, describe);
}

}  // namespace pyvoc::models::waveglow
