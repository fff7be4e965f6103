#include "models/waveglow/waveglow.h"

#include <algorithm>
#include <cmath>

#include "models/waveglow/generator.h"
#include "models/waveglow/likelihood.h"

namespace pyvoc::models::waveglow {
namespace {

// Far beyond any log mel, in decibels too.
constexpr float kAbsurd = 1000.0f;
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
  const std::size_t most = kBlockFrames, cols = features.cols();
  std::vector<float> frames(most * cols);
  for (std::size_t i = 0; i < features.rows(); i += most) {
    const std::size_t n = std::min(most, features.rows() - i);
    for (std::size_t r = 0; r < n; ++r) {
      std::copy_n(features[i + r].data(), cols, frames.data() + r * cols);
    }
    synthesis.begin(frames.data(), static_cast<int>(n));
  }
  while (synthesis.finish(0) > 0) {
  }
}

}  // namespace

Result<std::unique_ptr<Vocoder>> Waveglow::load(const io::Gguf& file,
                                                const kernels::KernelTable& kernels) {
  Result<Config> config = read_config(file);
  if (!config.ok()) return config.status();
  std::unique_ptr<Waveglow> model(new Waveglow());
  model->config_ = config.value();
  const Config& c = model->config_;
  const Status status = load_weights(file, c, kernels, model->weights_);
  if (!status.ok()) return status;
  VocoderInfo& info = model->info_;
  info.architecture = "waveglow";
  info.precision = c.precision;
  info.feature_layout = "mel";
  info.layout_dims = info.feature_dims = c.bands;
  info.sample_rate = c.sample_rate;
  info.hop_length = c.hop_length;
  info.lookahead_frames = c.lookahead_frames();
  info.block_frames = kBlockFrames;
  info.draws_per_sample = 1;
  info.takes_sigma = true;
  info.takes_lookahead = true;
  info.flows = c.flows();
  return std::unique_ptr<Vocoder>(std::move(model));
}

std::unique_ptr<Session> Waveglow::open(const SessionSettings& settings) const {
  if (weights_.integer) {
    return std::make_unique<Synthesis<std::uint8_t>>(config_, weights_, settings);
  }
  return std::make_unique<Synthesis<float>>(config_, weights_, settings);
}

bool Waveglow::valid_frame(const float* frame) const PYVOC_RT {
  for (int i = 0; i < config_.bands; ++i) {
    if (!(std::fabs(frame[i]) <= kAbsurd)) return false;  // NaN too
  }
  return true;
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

}  // namespace pyvoc::models::waveglow
