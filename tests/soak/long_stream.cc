// One stream for very long: resident memory stays, the level stays, and it ends as a fresh stream
// does. Frames come round again and again, so what is said in one round is said in the next.
//   long_stream SECONDS_OF_SOUND MODEL...
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <string>

#include "checks.h"

namespace {

using namespace pyvoc::soak;

constexpr std::size_t kRound = 400;  // frames
constexpr long kGrowth = 4096;       // KiB of resident memory that may come after the first rounds
constexpr double kLevel = 0.10;      // of the level of the first half, that the second may be off

long resident_kib() {
  long pages = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr || std::fscanf(file, "%*d %ld", &pages) != 1) pages = 0;
  if (file != nullptr) std::fclose(file);
  return pages * 4;
}

// A round; returns its level (rms), all of its samples finite.
double round(pyvoc_stream* stream, const pyvoc_model_info& info, const std::vector<float>& frames,
             std::vector<float>& samples, std::uint64_t* made) {
  double power = 0.0;
  std::size_t written = 0, in_round = 0;
  for (std::size_t i = 0; i < kRound; i += 8) {
    require(pyvoc_stream_push(stream, frames.data() + i * info.feature_dims, 8,
                              info.feature_dims) == PYVOC_OK,
            "push");
    do {
      require(pyvoc_stream_pull(stream, samples.data(), samples.size(), &written) == PYVOC_OK,
              "pull");
      for (std::size_t k = 0; k < written; ++k) {
        require(std::isfinite(samples[k]), "a sample that is not finite");
        power += double{samples[k]} * double{samples[k]};
      }
      in_round += written;
    } while (written > 0);
  }
  *made += in_round;
  return in_round == 0 ? 0.0 : std::sqrt(power / static_cast<double>(in_round));
}

void soak(const char* path, double seconds) {
  const Model model = load(path);
  const pyvoc_model_info info = info_of(model.get());
  const std::vector<float> frames = frames_of(kRound, info.feature_dims, 1);
  std::vector<float> samples(16 * info.hop_length);
  const Stream stream = open(model.get(), 1);
  const auto wanted = static_cast<std::uint64_t>(seconds * info.sample_rate);
  const auto began = std::chrono::steady_clock::now();
  const std::uint64_t each = std::uint64_t{kRound} * info.hop_length;
  const std::uint64_t rounds = 2 * std::max<std::uint64_t>(5, (wanted + 2 * each - 1) / (2 * each));
  std::uint64_t made = 0;
  double half[2] = {}, lowest = 1e9, highest = 0.0;
  long before = 0, most = 0;
  for (std::uint64_t i = 0; i < rounds; ++i) {
    const double level = round(stream.get(), info, frames, samples, &made);
    half[2 * i >= rounds] += level / (0.5 * static_cast<double>(rounds));
    lowest = std::min(lowest, level);
    highest = std::max(highest, level);
    const long now = resident_kib();
    if (i == 3) before = now;  // all is as it will stay
    most = std::max(most, now);
  }
  // The end: reset, it is what a stream that was just opened is.
  require(pyvoc_stream_reset(stream.get(), 3) == PYVOC_OK, "reset");
  const Stream fresh = open(model.get(), 1);
  std::vector<float> one(64 * info.hop_length), two(one.size());
  std::size_t n = 0, m = 0;
  require(pyvoc_stream_push(stream.get(), frames.data(), 64, info.feature_dims) == PYVOC_OK,
          "push");
  require(pyvoc_stream_push(fresh.get(), frames.data(), 64, info.feature_dims) == PYVOC_OK, "push");
  require(pyvoc_stream_flush(stream.get()) == PYVOC_OK, "flush");
  require(pyvoc_stream_flush(fresh.get()) == PYVOC_OK, "flush");
  require(pyvoc_stream_pull(stream.get(), one.data(), one.size(), &n) == PYVOC_OK, "pull");
  require(pyvoc_stream_pull(fresh.get(), two.data(), two.size(), &m) == PYVOC_OK, "pull");
  require(n == m && n == one.size() && std::memcmp(one.data(), two.data(), n * sizeof(float)) == 0,
          "the stream is not what a fresh one is");
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  std::printf(
      "%s: %.2f h of sound in %.0f s, level %.5f and %.5f (%.5f to %.5f), resident memory %ld to "
      "%ld "
      "KiB\n",
      path, static_cast<double>(made) / info.sample_rate / 3600.0, took.count(), half[0], half[1],
      lowest, highest, before, most);
  std::fflush(stdout);
  require(std::fabs(half[1] - half[0]) <= kLevel * half[0], "the level moves");
  require(most - before <= kGrowth, "resident memory grows");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s SECONDS_OF_SOUND MODEL...\n", argv[0]);
    return 2;
  }
  for (int i = 2; i < argc; ++i) soak(argv[i], std::atof(argv[1]));
  return 0;
}
