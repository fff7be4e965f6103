#include "dsp/mel_recipe.h"

#include <cmath>

namespace pyvoc::dsp {
namespace {

constexpr std::size_t kMinRate = 1000, kMinFft = 16;

struct Preset {
  const char* name;
  MelRecipe recipe;
};

MelRecipe descript() {
  MelRecipe r;
  r.fmax = 11025.0f;
  r.log = MelLog::kLog10;
  r.pad = 384;
  return r;
}

MelRecipe fatchord() {
  MelRecipe r;
  r.hop_length = 275;
  r.window_length = 1100;
  r.fft_length = 2048;
  r.fmin = 40.0f;
  r.fmax = 11025.0f;
  r.log = MelLog::kDb;
  r.pad = 1024;
  r.normalized = true;
  return r;
}

MelRecipe hifigan() {
  MelRecipe r;
  r.pad = 384;
  r.epsilon = 1e-9f;
  return r;
}

class Problems {
 public:
  void add(const std::string& sentence) { text_ += (text_.empty() ? "" : "; ") + sentence; }
  void range(const char* what, std::size_t value, std::size_t least, std::size_t most) {
    if (value >= least && value <= most) return;
    add(std::string(what) + " is " + std::to_string(value) + ", expected " + std::to_string(least) +
        " to " + std::to_string(most));
  }
  // False for NaN too.
  void range(const char* what, float value, float least, float most) {
    if (value >= least && value <= most) return;
    add(std::string(what) + " is " + std::to_string(value) + ", outside of what a recipe can have");
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

}  // namespace

std::string mel_recipe_problems(const MelRecipe& r) {
  Problems problems;
  problems.range("the sample rate", r.sample_rate, kMinRate, kMaxMelRate);
  problems.range("the transform's length", r.fft_length, kMinFft, kMaxMelFft);
  if ((r.fft_length & (r.fft_length - 1)) != 0) {
    problems.add("the transform has " + std::to_string(r.fft_length) +
                 " points, expected a power of two");
  }
  problems.range("the window's length", r.window_length, 2, r.fft_length);
  problems.range("the hop", r.hop_length, 1, r.window_length);
  problems.range("the padding", r.pad, 0, r.fft_length);
  problems.range("the number of bands", r.bands, 1, kMaxMelBands);
  if (!(r.fmin >= 0.0f && r.fmin < r.fmax && r.fmax * 2.0f <= static_cast<float>(r.sample_rate))) {
    problems.add("the bands go from " + std::to_string(r.fmin) + " to " + std::to_string(r.fmax) +
                 " Hz at a rate of " + std::to_string(r.sample_rate) + " Hz");
  }
  problems.range("the floor", r.floor, 1e-30f, 1.0f);
  if (r.power != 1 && r.power != 2) {
    problems.add("the power is " + std::to_string(r.power) + ", expected 1 or 2");
  }
  if (r.normalized && r.log != MelLog::kDb) problems.add("only decibels can be normalised");
  problems.range("ref_db", r.ref_db, -1000.0f, 1000.0f);
  problems.range("min_db", r.min_db, -1000.0f, -1.0f);
  problems.range("epsilon", r.epsilon, 0.0f, 1.0f);
  return problems.take();
}

const MelRecipe* find_mel_preset(std::string_view name) {
  static const Preset kPresets[] = {{"mel-nvidia", MelRecipe()},
                                    {"mel-descript", descript()},
                                    {"mel-fatchord", fatchord()},
                                    {"mel-hifigan", hifigan()}};
  for (const Preset& preset : kPresets) {
    if (name == preset.name) return &preset.recipe;
  }
  return nullptr;
}

}  // namespace pyvoc::dsp
