#include "models/mel_features.h"

#include <string>

namespace pyvoc::models {
namespace {

constexpr std::uint64_t kMaxInteger = 1 << 20;  // above every limit of a recipe

class Reader {
 public:
  explicit Reader(const io::Gguf& file) : file_(file) {}

  std::size_t integer(const char* key) {
    std::uint64_t value = 0;
    if (take(file_.get_uint(key), value) && value > kMaxInteger) {
      add(std::string(key) + " is " + std::to_string(value));
      value = 0;
    }
    return static_cast<std::size_t>(value);
  }

  float number(const char* key) {
    double value = 0.0;
    take(file_.get_float(key), value);
    return static_cast<float>(value);
  }

  bool flag(const char* key) {
    bool value = false;
    take(file_.get_bool(key), value);
    return value;
  }

  // The place of the entry's text among `names`; 0 and a problem when it is none of them.
  template <std::size_t n>
  int choice(const char* key, const char* const (&names)[n]) {
    std::string value, expected;
    if (!take(file_.get_string(key), value)) return 0;
    for (std::size_t i = 0; i < n; ++i) {
      if (value == names[i]) return static_cast<int>(i);
      expected += std::string(i == 0 ? "" : " or ") + names[i];
    }
    add(std::string(key) + " is \"" + value + "\", expected " + expected);
    return 0;
  }

  void add(const std::string& text) {
    if (!text.empty()) text_ += (text_.empty() ? "" : "; ") + text;
  }
  bool none() const { return text_.empty(); }
  Status status() const {
    return Status(Code::kModel, file_.name() + ": no valid mel recipe: " + text_);
  }

 private:
  template <typename T>
  bool take(const Result<T>& result, T& value) {
    if (result.ok()) {
      value = result.value();
    } else {
      add(result.status().message());
    }
    return result.ok();
  }

  const io::Gguf& file_;
  std::string text_;
};

}  // namespace

Result<dsp::MelRecipe> read_mel_recipe(const io::Gguf& file) {
  constexpr const char* kLayouts[] = {kMelLayout};
  constexpr const char* kLogs[] = {"ln", "log10", "db"};
  constexpr const char* kPaddings[] = {"reflect", "zero"};
  Reader reader(file);
  dsp::MelRecipe r;
  reader.choice("pyvoc.features.layout", kLayouts);
  r.sample_rate = reader.integer("pyvoc.features.sample_rate");
  r.hop_length = reader.integer("pyvoc.features.hop_length");
  r.window_length = reader.integer("pyvoc.features.window_length");
  r.fft_length = reader.integer("pyvoc.features.fft_length");
  r.bands = reader.integer("pyvoc.features.bands");
  r.fmin = reader.number("pyvoc.features.fmin");
  r.fmax = reader.number("pyvoc.features.fmax");
  r.log = static_cast<dsp::MelLog>(reader.choice("pyvoc.features.log", kLogs));
  r.floor = reader.number("pyvoc.features.floor");
  r.power = static_cast<int>(reader.integer("pyvoc.features.power"));
  r.padding = static_cast<dsp::MelPadding>(reader.choice("pyvoc.features.padding", kPaddings));
  r.pad = reader.integer("pyvoc.features.pad");
  r.normalized = reader.flag("pyvoc.features.normalized");
  r.ref_db = reader.number("pyvoc.features.ref_db");
  r.min_db = reader.number("pyvoc.features.min_db");
  if (reader.none()) reader.add(dsp::mel_recipe_problems(r));
  if (!reader.none()) return reader.status();
  return r;
}

}  // namespace pyvoc::models
