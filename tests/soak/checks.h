// What the programs here share: a condition that holds, models, frames.
#ifndef PYVOC_TESTS_SOAK_CHECKS_H_
#define PYVOC_TESTS_SOAK_CHECKS_H_

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <vector>

#include "pyvoc/live.h"
#include "pyvoc/pyvoc.h"

namespace pyvoc::soak {

inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "FOUND: %s (last error: %s)\n", what, pyvoc_last_error());
  std::exit(1);
}

struct Close {
  void operator()(pyvoc_model* model) const { pyvoc_model_release(model); }
  void operator()(pyvoc_stream* stream) const { pyvoc_stream_close(stream); }
  void operator()(pyvoc_live* live) const { pyvoc_live_close(live); }
};
using Model = std::unique_ptr<pyvoc_model, Close>;
using Stream = std::unique_ptr<pyvoc_stream, Close>;

inline Model load(const char* path) {
  pyvoc_model* model = nullptr;
  require(pyvoc_model_load(path, &model) == PYVOC_OK, path);
  return Model(model);
}

inline pyvoc_model_info info_of(pyvoc_model* model) {
  pyvoc_model_info info = {};
  info.struct_size = sizeof info;
  require(pyvoc_model_get_info(model, &info) == PYVOC_OK, "get_info");
  return info;
}

inline Stream open(pyvoc_model* model, unsigned threads) {
  pyvoc_stream_options options = PYVOC_STREAM_OPTIONS_INIT;
  options.seed = 3;
  options.threads = threads;
  pyvoc_stream* stream = nullptr;
  require(pyvoc_stream_open(model, &options, &stream) == PYVOC_OK, "open");
  return Stream(stream);
}

// Frames that every layout takes: small numbers, which are a pitch too.
inline std::vector<float> frames_of(std::size_t n, std::size_t dims, unsigned seed) {
  std::vector<float> frames(n * dims);
  std::mt19937 random(seed);
  for (float& x : frames) x = static_cast<float>(random() % 1000) / 2000.0f;
  return frames;
}

}  // namespace pyvoc::soak
#endif  // PYVOC_TESTS_SOAK_CHECKS_H_
