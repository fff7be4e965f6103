// A libFuzzer target: bytes as a model, which is loaded, described and, where it can be, spoken.
// Whatever they are, nothing crashes; errors have sentences; n frames give n hops; samples are
// finite and within the range that pyvoc.h tells; and a stream that is cut is the whole one, bit
// for bit. main.cc drives it without libFuzzer.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <vector>

#include "gguf_parts.h"
#include "pyvoc/pyvoc.h"

long pyvoc_fuzz_spoken = 0;  // models that were good enough for samples

namespace {

constexpr std::size_t kFrames = 5;
constexpr std::size_t kMostHop = 2048, kMostDims = 1024;  // what is worth the time
constexpr std::size_t kMostBytes = 1 << 22;

[[noreturn]] void found(const char* what) {
  std::fprintf(stderr, "FOUND: %s (last error: %s)\n", what, pyvoc_last_error());
  std::abort();
}

void require(bool holds, const char* what) {
  if (!holds) found(what);
}

// Frames that every layout takes: small numbers, which are a pitch too.
std::vector<float> frames_of(std::size_t dims) {
  std::vector<float> frames(kFrames * dims);
  std::mt19937 random(7);
  for (float& x : frames) x = static_cast<float>(random() % 1000) / 2000.0f;
  return frames;
}

std::vector<float> speak(pyvoc_stream* stream, const pyvoc_model_info& info, bool cut) {
  const std::size_t dims = info.feature_dims, hop = info.hop_length;
  const std::vector<float> frames = frames_of(dims);
  std::vector<float> samples(kFrames * hop + 1);
  std::size_t at = 0, written = 0;
  std::mt19937 random(11);
  for (std::size_t i = 0; i < kFrames;) {
    const std::size_t n = cut ? std::min(kFrames - i, 1 + random() % 2) : kFrames;
    if (pyvoc_stream_push(stream, frames.data() + i * dims, n, dims) != PYVOC_OK) return {};
    i += n;
    if (!cut) continue;
    const std::size_t wanted = std::min<std::size_t>(samples.size() - at, 1 + random() % (2 * hop));
    require(pyvoc_stream_pull(stream, samples.data() + at, wanted, &written) == PYVOC_OK, "pull");
    at += written;
  }
  require(pyvoc_stream_flush(stream) == PYVOC_OK, "flush");
  do {
    const std::size_t wanted =
        cut ? std::min<std::size_t>(samples.size() - at, 97) : samples.size();
    require(pyvoc_stream_pull(stream, samples.data() + at, wanted, &written) == PYVOC_OK, "pull");
    at += written;
  } while (written > 0 && at < samples.size());
  require(at == kFrames * hop, "n frames give n hops");
  samples.resize(at);
  return samples;
}

void check_stream(pyvoc_model* model, const pyvoc_model_info& info) {
  pyvoc_stream_options options = PYVOC_STREAM_OPTIONS_INIT;
  options.seed = 3;
  pyvoc_stream* stream = nullptr;
  if (pyvoc_stream_open(model, &options, &stream) != PYVOC_OK) {
    require(*pyvoc_last_error() != '\0', "an error without a sentence");
    return;
  }
  const std::vector<float> whole = speak(stream, info, false);
  const float most = std::strcmp(info.architecture, "waveglow") == 0 ? 100.0f : 1.0f;
  for (const float x : whole) require(std::fabs(x) <= most, "a sample that is not finite");
  if (!whole.empty()) {
    ++pyvoc_fuzz_spoken;
    require(pyvoc_stream_reset(stream, 3) == PYVOC_OK, "reset");
    const std::vector<float> cut = speak(stream, info, true);
    require(cut.size() == whole.size() &&
                std::memcmp(cut.data(), whole.data(), sizeof(float) * cut.size()) == 0,
            "a stream that is cut differs from the whole");
  }
  pyvoc_stream_close(stream);
}

void check_analysis(pyvoc_model* model, const pyvoc_model_info& info) {
  const std::vector<float> frames = frames_of(info.feature_dims), pcm(32, 0.1f);
  if (info.distribution_size > 0 && info.distribution_size <= 4096) {
    std::vector<float> outputs(std::size_t{info.distribution_size} * pcm.size());
    (void)pyvoc_model_predict(model, frames.data(), kFrames, info.feature_dims, pcm.data(),
                              pcm.size(), outputs.data());
  }
  if (info.flows > 0 && info.flows <= 64) {
    std::vector<float> noise(pcm.size());
    std::vector<double> scales(info.flows), dets(info.flows);
    (void)pyvoc_model_forward(model, frames.data(), kFrames, info.feature_dims, pcm.data(),
                              pcm.size(), 1, noise.data(), scales.data(), dets.data());
  }
}

struct Free {
  void operator()(void* p) const { std::free(p); }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > kMostBytes) return 0;
  // A block of just that size, so that a read beyond it is seen.
  void* block = nullptr;
  if (posix_memalign(&block, 64, size) != 0) return 0;
  const std::unique_ptr<void, Free> held(block);
  std::memcpy(block, data, size);
  pyvoc_model* model = nullptr;
  if (pyvoc_model_load_memory(block, size, &model) != PYVOC_OK) {
    require(*pyvoc_last_error() != '\0', "an error without a sentence");
    return 0;
  }
  pyvoc_model_info info = {};
  info.struct_size = sizeof info;
  const char* json = nullptr;
  require(pyvoc_model_get_info(model, &info) == PYVOC_OK, "get_info");
  require(pyvoc_model_describe(model, &json) == PYVOC_OK && *json == '{', "describe");
  require(info.hop_length > 0 && info.feature_dims > 0, "a model without a size");
  if (info.hop_length <= kMostHop && info.feature_dims <= kMostDims) {
    check_stream(model, info);
    check_analysis(model, info);
  }
  pyvoc_model_release(model);
  return 0;
}

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t most, unsigned seed) {
  std::mt19937 random(seed);
  pyvoc::fuzz::GgufParts parts;
  if (random() % 8 == 0 || !parts.parse(data, size)) return LLVMFuzzerMutate(data, size, most);
  for (std::size_t n = 1 + random() % 8 / 6; n > 0; --n) parts.change(random);
  const std::string built = parts.build();
  if (built.size() > most) return LLVMFuzzerMutate(data, size, most);
  std::memcpy(data, built.data(), built.size());
  return built.size();
}
