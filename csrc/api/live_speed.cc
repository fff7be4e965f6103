// LiveEngine: how fast the model is here, and what follows from it: how many frames it gets at
// once, and how much sound waits in reserve. Before the thread starts.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "api/live_engine.h"
#include "base/denormals.h"
#include "base/thread_priority.h"

namespace pyvoc::api {
namespace {

constexpr double kLight = 0.6;         // of real time: a chunk is long enough with it
constexpr double kWarmUp = 2.5;        // seconds at most
constexpr double kPatience = 1.0;      // seconds at most for one measurement
constexpr int kWindows = 3;            // the fastest counts: what else runs here only slows down
constexpr double kWindowSound = 0.08;  // seconds of sound in a window, at least
// Seconds that threads wake up late, now and then: ordinary ones, real-time ones.
constexpr double kSafety = 0.010, kRealtimeSafety = 0.003;
constexpr double kSpread = 1.25;  // work takes longer now and then

// Speech-like enough: a tone and noise.
void fill(std::vector<float>& pcm, std::uint64_t& at, double rate) {
  std::uint32_t noise = 1;
  for (float& x : pcm) {
    noise = noise * 1664525u + 1013904223u;
    const double t = static_cast<double>(at++) / rate;
    x = static_cast<float>(0.1 * std::sin(2.0 * 3.14159265358979323846 * 150.0 * t)) +
        0.02f * (static_cast<float>(noise >> 8) / 8388608.0f - 1.0f);
  }
}

}  // namespace

void LiveEngine::measure() {
  if (settings_.bypass) {
    path_->set_chunk(1);
    return;
  }
  const DenormalGuard guard;
  speed_ = LiveSpeed{};
  std::size_t chunk = std::max<std::size_t>(settings_.chunk, 1);
  for (;;) {
    const LiveSpeed speed = measure_chunk(chunk);
    if (speed_.work == 0.0 || speed.times_real_time() > speed_.times_real_time()) speed_ = speed;
    chunk *= 2;
    if (settings_.chunk != 0 || speed.times_real_time() * kLight >= 1.0) break;
    if (chunk > std::min(path_->block_frames(), LivePath::kMostChunk)) break;
  }
  path_->set_chunk(speed_.chunk);
  path_->reset();
}

LiveSpeed LiveEngine::measure_chunk(std::size_t chunk) {
  LiveSpeed speed;
  speed.chunk = chunk;
  speed.chunk_seconds = static_cast<double>(chunk) * path_->frame_seconds();
  path_->set_chunk(chunk);
  std::vector<float> pcm(
      static_cast<std::size_t>(std::ceil(speed.chunk_seconds * settings_.input_rate)));
  std::uint64_t at = 0;
  const auto seconds_for = [&](int chunks) {
    double seconds = 0.0;
    for (int i = 0; i < chunks; ++i) {
      fill(pcm, at, settings_.input_rate);
      const double began = now();
      for (std::size_t done = 0; done < pcm.size();) {
        const std::size_t n = std::min(LivePath::kPiece, pcm.size() - done);
        path_->push({pcm.data() + done, n});
        path_->drain();
        done += n;
        output_->skip(output_->readable());
      }
      seconds += now() - began;
    }
    return seconds;
  };
  // Until the model has all the past that it ever has.
  const LiveDelays delays = path_->delays();
  const double began = now();
  const double held = delays.extractor + delays.lookahead + 2.0 * speed.chunk_seconds;
  for (double done = 0.0; done < held && now() - began < kWarmUp; done += speed.chunk_seconds) {
    seconds_for(1);
  }
  const int group = static_cast<int>(std::max<std::size_t>(path_->group(), 1));
  const int chunks =
      std::max(group, static_cast<int>(std::ceil(kWindowSound / speed.chunk_seconds)));
  const double start = now();
  for (int i = 0; i < kWindows && (i == 0 || now() - start < kPatience); ++i) {
    const double work = seconds_for(chunks) / chunks;
    if (i == 0 || work < speed.work) speed.work = work;
  }
  return speed;
}

// Bursts of sound come from the path, blocks go to the callback. A margin that covers the time that
// the last burst was due before its block (ripple), what the work takes beyond the time between two
// callbacks, and late threads.
PlayoutSettings LiveEngine::choose_playout() const {
  const double rate = settings_.output_rate;
  const double block = static_cast<double>(settings_.block);
  const double frames = static_cast<double>(std::max(path_->chunk(), path_->group()));
  const double burst = settings_.bypass ? block : frames * path_->frame_seconds() * rate;
  double ripple = burst;
  if (settings_.two_clocks) {
    ripple = burst + block;
  } else if (burst == std::floor(burst)) {
    ripple = burst - static_cast<double>(std::gcd(static_cast<std::uint64_t>(burst),
                                                  static_cast<std::uint64_t>(settings_.block)));
  }
  const double free = settings_.two_clocks ? 0.0 : block / rate;
  const double work =
      std::max(0.0, kSpread * speed_.work * frames / static_cast<double>(path_->chunk()) - free);
  const double safety = keeps_ahead() && may_raise_priority() ? kRealtimeSafety : kSafety;
  const double margin = settings_.margin >= 0.0 ? settings_.margin : safety + work;
  PlayoutSettings playout;
  playout.rate = rate;
  playout.margin = static_cast<std::size_t>(std::llround(margin * rate));
  playout.ripple = static_cast<std::size_t>(std::ceil(ripple));
  playout.drifting = settings_.two_clocks;
  playout.keep_all = settings_.input_waits;
  playout.no_silence = settings_.output_waits;
  return playout;
}

}  // namespace pyvoc::api
