// What runs side by side, for the thread sanitizer: streams of one model in many threads, streams
// with helpers, lockstep, and the live engine between callbacks, all at once.
//   threads SECONDS MODEL...
#include <atomic>
#include <chrono>
#include <cstring>
#include <string>
#include <thread>

#include "checks.h"

namespace {

using namespace pyvoc::soak;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kFrames = 12;

std::vector<float> speak(pyvoc_stream* stream, const pyvoc_model_info& info, unsigned seed) {
  const std::vector<float> frames = frames_of(kFrames, info.feature_dims, seed);
  std::vector<float> samples(kFrames * info.hop_length + 1);
  std::size_t at = 0, written = 0;
  for (std::size_t i = 0; i < kFrames; i += 3) {
    require(pyvoc_stream_push(stream, frames.data() + i * info.feature_dims, 3,
                              info.feature_dims) == PYVOC_OK,
            "push");
    require(
        pyvoc_stream_pull(stream, samples.data() + at, samples.size() - at, &written) == PYVOC_OK,
        "pull");
    at += written;
  }
  require(pyvoc_stream_flush(stream) == PYVOC_OK, "flush");
  require(pyvoc_stream_pull(stream, samples.data() + at, samples.size() - at, &written) == PYVOC_OK,
          "pull");
  samples.resize(at + written);
  require(samples.size() == kFrames * info.hop_length, "n frames give n hops");
  return samples;
}

// Streams of one model, one after another, with and without helpers: always the same samples.
void streams(pyvoc_model* model, unsigned threads, const std::vector<float>* expected,
             const std::atomic<bool>* stop, std::atomic<long>* done) {
  const pyvoc_model_info info = info_of(model);
  while (!stop->load()) {
    const Stream stream = open(model, threads);
    const std::vector<float> found = speak(stream.get(), info, 1);
    require(found == *expected, "the samples depend on the threads");
    require(pyvoc_stream_reset(stream.get(), 3) == PYVOC_OK, "reset");
    require(speak(stream.get(), info, 1) == *expected, "the samples depend on what was before");
    ++*done;
  }
}

// The engine with a callback per side, one that changes the voice and one that asks how it goes.
void live(pyvoc_model* model, const std::atomic<bool>* stop, std::atomic<long>* done) {
  const pyvoc_model_info info = info_of(model);
  pyvoc_live_options options = PYVOC_LIVE_OPTIONS_INIT;
  options.flags = PYVOC_LIVE_FORCE | PYVOC_LIVE_TAP | PYVOC_LIVE_TWO_CLOCKS;
  options.chunk_frames = 1;
  pyvoc_live* opened = nullptr;
  require(pyvoc_live_open(model, &options, &opened) == PYVOC_OK, "live_open");
  const std::unique_ptr<pyvoc_live, Close> engine(opened);
  require(pyvoc_live_start(opened) == PYVOC_OK, "live_start");
  const std::size_t block = info.sample_rate / 100;
  std::atomic<bool> ended(false);
  std::thread input([&] {
    const std::vector<float> pcm = frames_of(block, 1, 5);
    for (auto next = Clock::now(); !ended.load(); next += std::chrono::milliseconds(10)) {
      std::this_thread::sleep_until(next);
      pyvoc_live_write(opened, pcm.data(), block);
    }
    pyvoc_live_end_input(opened);
  });
  std::thread output([&] {
    std::vector<float> pcm(block);
    for (auto next = Clock::now(); !ended.load(); next += std::chrono::milliseconds(10)) {
      std::this_thread::sleep_until(next);
      pyvoc_live_read(opened, pcm.data(), block);
      ++*done;
    }
  });
  std::thread asker([&] {
    for (int i = 0; !ended.load(); ++i) {
      pyvoc_live_stats stats = {};
      stats.struct_size = sizeof stats;
      require(pyvoc_live_get_stats(opened, &stats) == PYVOC_OK, "live_get_stats");
      (void)pyvoc_live_set_shift(opened, static_cast<float>(i % 5), 0.0f);
      std::this_thread::sleep_for(std::chrono::milliseconds(7));
    }
  });
  std::vector<float> tapped(block * 100);
  while (!stop->load()) {
    pyvoc_live_tap_input(opened, tapped.data(), tapped.size());
    pyvoc_live_tap_output(opened, tapped.data(), tapped.size());
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  ended = true;
  input.join();
  output.join();
  asker.join();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s SECONDS MODEL...\n", argv[0]);
    return 2;
  }
  const double seconds = std::atof(argv[1]);
  for (int i = 2; i < argc; ++i) {
    const Model model = load(argv[i]);
    const pyvoc_model_info info = info_of(model.get());
    const Stream first = open(model.get(), 1);
    const std::vector<float> expected = speak(first.get(), info, 1);
    std::atomic<bool> stop(false);
    std::atomic<long> spoken(0), callbacks(0);
    std::vector<std::thread> running;
    for (const unsigned threads : {1u, 1u, 2u, 3u}) {
      running.emplace_back(streams, model.get(), threads, &expected, &stop, &spoken);
    }
    // Models that read features are turned live; the others are, where their mel is known.
    running.emplace_back(live, model.get(), &stop, &callbacks);
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds / (argc - 2)));
    // Opening an engine measures how fast the model is, which takes its time.
    for (int k = 0; k < 600 && (callbacks.load() < 50 || spoken.load() == 0); ++k) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    stop = true;
    for (std::thread& thread : running) thread.join();
    std::printf("%s: %ld streams, %ld live callbacks\n", argv[i], spoken.load(), callbacks.load());
    require(spoken.load() > 0 && callbacks.load() > 0, "nothing was done");
    std::fflush(stdout);
  }
  return 0;
}
