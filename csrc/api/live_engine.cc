#include "api/live_engine.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/denormals.h"
#include "base/process.h"
#include "base/thread_priority.h"

namespace pyvoc::api {
namespace {

constexpr std::chrono::microseconds kNap{500};
constexpr double kInputSeconds = 1.0, kOutputSeconds = 1.0, kTapSeconds = 4.0;  // of ring
constexpr std::size_t kFeatureRows = 32;  // of ring, where the input is frames
constexpr double kMeterSeconds = 0.1;
constexpr std::size_t kMostBlock = 8192;  // samples that read() does at once

float interleaved_mean(const float* x, std::size_t channels) PYVOC_RT {
  float sum = 0.0f;
  for (std::size_t c = 0; c < channels; ++c) sum += x[c];
  return channels == 1 ? sum : sum / static_cast<float>(channels);
}

void bump(std::atomic<std::uint64_t>& x, std::uint64_t n) PYVOC_RT {  // one writer
  x.store(x.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

std::size_t ring_size(double seconds, double rate) {
  return static_cast<std::size_t>(seconds * rate) + 1;
}

Status too_slow(const pyvoc_model& model, const LiveSpeed& speed) {
  char text[200];
  std::snprintf(text, sizeof text,
                "%s of this size runs at %.2f times real time here (%.1f ms of work for %.1f ms of "
                "sound): too slow for live sound",
                model.vocoder->info().architecture.c_str(), speed.times_real_time(),
                1e3 * speed.work, 1e3 * speed.chunk_seconds);
  return Status(Code::kUnsupported, text);
}

}  // namespace

Result<std::unique_ptr<LiveEngine>> LiveEngine::open(const pyvoc_model& model,
                                                     const LiveSettings& settings) {
  auto made = make_live_path(model, settings, ring_size(kOutputSeconds, settings.output_rate));
  if (!made.ok()) return made.status();
  std::unique_ptr<LiveEngine> engine(
      new LiveEngine(settings, std::move(made.value().path), std::move(made.value().output)));
  engine->measure();
  if (engine->speed_.times_real_time() < 1.0 && !settings.force && !settings.bypass) {
    return too_slow(model, engine->speed_);
  }
  engine->playout_ = std::make_unique<Playout>(*engine->output_, engine->choose_playout());
  return engine;
}

LiveEngine::LiveEngine(const LiveSettings& settings, std::unique_ptr<LivePath> path,
                       std::unique_ptr<Ring> output)
    : settings_(settings),
      output_(std::move(output)),
      path_(std::move(path)),
      input_(std::max(ring_size(kInputSeconds, settings.input_rate),
                      kFeatureRows * path_->frame_dims())),
      input_tap_(settings.tap ? ring_size(kTapSeconds, settings.input_rate) : 1),
      output_tap_(settings.tap ? ring_size(kTapSeconds, settings.output_rate) : 1),
      block_(kMostBlock),
      piece_(std::max(LivePath::kPiece, path_->frame_dims())),
      pitch_(settings.pitch),
      formant_(settings.formant) {}

void LiveEngine::start() {
  if (thread_.joinable()) return;
  stop_ = false;
  thread_ = std::thread([this] { run(); });
}

void LiveEngine::stop() {
  stop_ = true;
  join_or_drop(thread_, generation_);
}

void LiveEngine::run() {
  const DenormalGuard guard;
  realtime_ = keeps_ahead() && raise_priority();
  const double before = thread_cpu_seconds();
  while (!stop_.load(std::memory_order_relaxed)) {
    if (turn()) {
      cpu_seconds_.store(thread_cpu_seconds() - before, std::memory_order_relaxed);
    } else {
      std::this_thread::sleep_for(kNap);
    }
  }
}

bool LiveEngine::turn() PYVOC_RT {
  const float pitch = pitch_.load(std::memory_order_relaxed);
  const float formant = formant_.load(std::memory_order_relaxed);
  if (pitch != shift_[0] || formant != shift_[1]) {
    shift_[0] = pitch;
    shift_[1] = formant;
    path_->set_shift(pitch, formant);
  }
  if (settings_.two_clocks) path_->correct(factor_.load(std::memory_order_relaxed));
  const double began = now();
  const std::uint64_t produced = path_->produced();
  const bool busy = path_->drain() && feed();
  if (busy) path_->drain();
  ahead_.store(path_->ahead(), std::memory_order_relaxed);
  if (path_->produced() == produced) return busy;
  const double ended = now();
  work_.add(ended - began);
  if (!settings_.input_waits) {
    response_.add(ended - (input_epoch_.load(std::memory_order_relaxed) +
                           static_cast<double>(consumed_) / settings_.input_rate));
  }
  return true;
}

// Gives the path what has come in; false when nothing has.
bool LiveEngine::feed() PYVOC_RT {
  const bool ended = input_ended_.load(std::memory_order_acquire);  // before reading the ring
  if (settings_.input_is_features) {
    const std::size_t dims = path_->frame_dims();
    if (input_.readable() >= dims) {
      input_.read({piece_.data(), dims});
      path_->push_frame(piece_.data());
      ++consumed_;
      return true;
    }
  } else if (const std::size_t n = input_.read({piece_.data(), LivePath::kPiece})) {
    path_->push({piece_.data(), n});
    consumed_ += n;
    return true;
  }
  if (ended && !finishing_) {
    finishing_ = true;
    path_->finish();
    return true;
  }
  if (finishing_ && path_->drain()) playout_->end();
  return false;
}

std::size_t LiveEngine::write(const float* pcm, std::size_t frames) PYVOC_RT {
  float mono[LivePath::kPiece];
  std::size_t taken = 0;
  std::uint64_t bad = 0;
  while (taken < frames) {
    std::size_t n = std::min(frames - taken, LivePath::kPiece);
    if (settings_.input_waits) n = std::min(n, input_.writable());
    if (n == 0) break;
    const std::size_t channels = settings_.input_channels;
    for (std::size_t i = 0; i < n; ++i) {
      const float x = interleaved_mean(pcm + (taken + i) * channels, channels);
      const float clipped = sanitised(x);
      bad += clipped != x;  // NaN too
      mono[i] = clipped;
    }
    meter(input_level_, mono, n, settings_.input_rate);
    if (settings_.tap) bump(tap_lost_in_, n - input_tap_.write({mono, n}));
    const std::size_t written = input_.write({mono, n});
    taken += written;
    if (written < n) {
      bump(overruns_, 1);
      bump(lost_, frames - taken);
      break;
    }
  }
  if (bad > 0) bump(bad_samples_, bad);
  bump(frames_in_, taken);
  input_epoch_.store(now() - static_cast<double>(frames_in_.load(std::memory_order_relaxed)) /
                                 settings_.input_rate,
                     std::memory_order_relaxed);
  return taken;
}

std::size_t LiveEngine::write_features(const float* rows, std::size_t n,
                                       std::size_t stride) PYVOC_RT {
  const std::size_t dims = path_->frame_dims();
  std::size_t taken = 0;
  while (taken < n && input_.writable() >= dims) {
    input_.write({rows + taken * stride, dims});
    ++taken;
  }
  bump(frames_in_, taken);
  return taken;
}

std::size_t LiveEngine::read(float* pcm, std::size_t frames) PYVOC_RT {
  const double began = now();
  const double seconds = static_cast<double>(frames) / settings_.output_rate;
  if (last_read_ >= 0.0) jitter_.add(std::fabs(began - last_read_ - seconds_read_));
  last_read_ = began;
  seconds_read_ = seconds;
  const std::size_t channels = settings_.output_channels;
  std::size_t sound = 0;
  for (std::size_t at = 0; at < frames;) {
    const std::size_t n = std::min(frames - at, kMostBlock);
    float* mono = block_.data();
    sound += playout_->read({mono, n});
    if (settings_.tap) bump(tap_lost_out_, n - output_tap_.write({mono, n}));
    meter(output_level_, mono, n, settings_.output_rate);
    if (!probe_.empty()) probe_into(mono, n);
    for (std::size_t i = 0; i < n; ++i) {
      const float x = std::clamp(mono[i], -1.0f, 1.0f);
      for (std::size_t c = 0; c < channels; ++c) pcm[(at + i) * channels + c] = x;
    }
    at += n;
  }
  bump(frames_out_, frames);
  bump(callbacks_, 1);
  if (settings_.two_clocks) {
    watch_clocks(frames);
  } else if (!settings_.input_waits && playout_->playing()) {
    delay_.store(
        static_cast<double>(frames_in_.load(std::memory_order_relaxed)) / settings_.input_rate -
            static_cast<double>(playout_->played()) / settings_.output_rate,
        std::memory_order_relaxed);
  }
  callback_.add(now() - began);
  return sound;
}

// How long ago, by the input's clock, the sound came in that is played now.
void LiveEngine::watch_clocks(std::size_t frames) PYVOC_RT {
  if (playout_->jumps() != jumps_seen_ || !playout_->playing()) {
    jumps_seen_ = playout_->jumps();
    drift_.restart();
    return;
  }
  const double came_in =
      (last_read_ - input_epoch_.load(std::memory_order_relaxed)) * settings_.output_rate;
  const double delay =
      came_in + ahead_.load(std::memory_order_relaxed) - static_cast<double>(playout_->played());
  const double seconds = static_cast<double>(frames) / settings_.output_rate;
  delay_.store(delay / settings_.output_rate, std::memory_order_relaxed);
  if (drift_.update(delay / settings_.output_rate, seconds)) {
    factor_.store(drift_.factor(), std::memory_order_relaxed);
  }
}

void LiveEngine::probe_into(float* mono, std::size_t n) PYVOC_RT {
  for (std::size_t i = 0; i < n; ++i, ++probed_) {
    mono[i] = probed_ < probe_.size() ? probe_[probed_] : 0.0f;
  }
}

void LiveEngine::meter(std::atomic<float>& level, const float* x, std::size_t n,
                       double rate) PYVOC_RT {
  float sum = 0.0f;
  for (std::size_t i = 0; i < n; ++i) sum += x[i] * x[i];
  const float weight =
      std::min(1.0f, static_cast<float>(static_cast<double>(n) / (rate * kMeterSeconds)));
  const float before = level.load(std::memory_order_relaxed);
  level.store(before + weight * (sum / static_cast<float>(n) - before), std::memory_order_relaxed);
}

void LiveEngine::count_xruns(bool input, bool output) PYVOC_RT {
  // Two devices have two callbacks.
  if (input) input_xruns_.fetch_add(1, std::memory_order_relaxed);
  if (output) output_xruns_.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace pyvoc::api
