#include "models/mel_features.h"

#include <limits>

namespace pyvoc::models {
namespace {

constexpr int kMaxInteger = 1 << 20;  // above every limit of a recipe
constexpr int kMaxBands = 512;
constexpr float kAbsurd = 1000.0f;  // far beyond any log mel, in decibels too
constexpr const char* kLayouts[] = {kMelLayout};

}  // namespace

void read_mel_config(Problems& problems, MelConfig& config) {
  config.precision = problems.precision();
  problems.choice("pyvoc.features.layout", kLayouts);
  config.sample_rate = problems.integer("pyvoc.features.sample_rate", 1000, 384000);
  config.hop_length = problems.integer("pyvoc.features.hop_length", 1, kMaxHop);
  config.bands = problems.integer("pyvoc.features.bands", 1, kMaxBands);
}

VocoderInfo describe_mel(const char* architecture, const MelConfig& config, int lookahead_frames) {
  VocoderInfo info;
  info.architecture = architecture;
  info.precision = config.precision;
  info.feature_layout = kMelLayout;
  info.layout_dims = info.feature_dims = config.bands;
  info.least_feature = -kAbsurd;
  info.most_feature = kAbsurd;
  info.sample_rate = config.sample_rate;
  info.hop_length = config.hop_length;
  info.lookahead_frames = lookahead_frames;
  return info;
}

Result<dsp::MelRecipe> read_mel_recipe(const io::Gguf& file) {
  constexpr const char* kLogs[] = {"ln", "log10", "db"};
  constexpr const char* kPaddings[] = {"reflect", "zero"};
  Problems problems(file);
  // What is possible, dsp::mel_recipe_problems knows.
  const auto integer = [&](const char* key) { return problems.integer(key, 0, kMaxInteger); };
  const auto size = [&](const char* key) { return static_cast<std::size_t>(integer(key)); };
  constexpr double kMost = std::numeric_limits<float>::max();
  const auto number = [&](const char* key) { return problems.number(key, -kMost, kMost); };
  dsp::MelRecipe r;
  problems.choice("pyvoc.features.layout", kLayouts);
  r.sample_rate = size("pyvoc.features.sample_rate");
  r.hop_length = size("pyvoc.features.hop_length");
  r.window_length = size("pyvoc.features.window_length");
  r.fft_length = size("pyvoc.features.fft_length");
  r.bands = size("pyvoc.features.bands");
  r.fmin = number("pyvoc.features.fmin");
  r.fmax = number("pyvoc.features.fmax");
  r.log = static_cast<dsp::MelLog>(problems.choice("pyvoc.features.log", kLogs));
  r.floor = number("pyvoc.features.floor");
  r.power = integer("pyvoc.features.power");
  r.padding = static_cast<dsp::MelPadding>(problems.choice("pyvoc.features.padding", kPaddings));
  r.pad = size("pyvoc.features.pad");
  r.normalized = problems.flag("pyvoc.features.normalized");
  r.ref_db = number("pyvoc.features.ref_db");
  r.min_db = number("pyvoc.features.min_db");
  r.epsilon = problems.number_or(0.0f, "pyvoc.features.epsilon", -kMost, kMost);
  if (problems.none()) problems.add(dsp::mel_recipe_problems(r));
  if (!problems.none()) return problems.status("no valid mel recipe: ");
  return r;
}

}  // namespace pyvoc::models
