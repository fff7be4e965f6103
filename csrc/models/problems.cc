#include "models/problems.h"

#include <cstdio>

namespace pyvoc::models {
namespace {

constexpr std::size_t kShown = 80;  // characters of what a file says

std::string short_text(double x) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", x);
  return text;
}

}  // namespace

void Problems::add_range(const char* key, const std::string& found, const std::string& least,
                         const std::string& most) {
  add(std::string(key) + " is " + found + ", expected " + least +
      (least == most ? "" : " to " + most));
}

int Problems::integer(const char* key, int least, int most) {
  std::uint64_t value = 0;
  if (!take(file_.get_uint(key), value)) return 0;
  if (value < static_cast<std::uint64_t>(least) || value > static_cast<std::uint64_t>(most)) {
    add_range(key, std::to_string(value), std::to_string(least), std::to_string(most));
    return 0;
  }
  return static_cast<int>(value);
}

float Problems::number(const char* key, double least, double most) {
  double value = 0.0;
  if (!take(file_.get_float(key), value)) return 0.0f;
  if (!(value >= least && value <= most)) {  // NaN too
    add_range(key, short_text(value), short_text(least), short_text(most));
    return 0.0f;
  }
  return static_cast<float>(value);
}

bool Problems::flag(const char* key) {
  bool value = false;
  take(file_.get_bool(key), value);
  return value;
}

std::string Problems::text(const char* key) {
  std::string value;
  take(file_.get_string(key), value);
  return value;
}

std::string Problems::precision() {
  constexpr const char* kNames[] = {"f32", "bf16", "int8"};
  return kNames[choice("pyvoc.precision", kNames)];
}

int Problems::choose(const char* key, const char* const* names, std::size_t n) {
  std::string value, expected;
  if (!take(file_.get_string(key), value)) return 0;
  for (std::size_t i = 0; i < n; ++i) {
    if (value == names[i]) return static_cast<int>(i);
    expected += std::string(i == 0 ? "" : " or ") + names[i];
  }
  add(std::string(key) + " is \"" + value.substr(0, kShown) + "\", expected " + expected);
  return 0;
}

Status Problems::check_revision(const std::string& model, std::uint64_t known) {
  std::uint64_t revision = 0;
  if (!take(file_.get_uint("pyvoc.spec_revision"), revision) || revision <= known) {
    return Status();
  }
  return Status(Code::kUnsupported, file_.name() + ": " + model + " spec revision " +
                                        std::to_string(revision) +
                                        " is newer than this build reads (" +
                                        std::to_string(known) + "); upgrade pyvoc");
}

int Problems::dimension(const std::string& tensor, std::size_t axis, std::size_t dims,
                        std::size_t limit) {
  const io::Tensor* t = file_.find_tensor(tensor);
  if (t == nullptr) {
    add("tensor " + tensor + " is missing");
    return 0;
  }
  if (t->shape.size() != dims || t->shape[axis] > limit) {
    add("tensor " + tensor + " has an unexpected shape");
    return 0;
  }
  return static_cast<int>(t->shape[axis]);
}

}  // namespace pyvoc::models
