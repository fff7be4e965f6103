#include "api/playout.h"

#include <algorithm>
#include <limits>

namespace pyvoc::api {
namespace {

constexpr std::size_t kMostFade = 1024;  // samples
constexpr double kFade = 0.004;          // seconds
constexpr double kWindow = 0.5;          // seconds that the level is watched for
constexpr double kTolerance = 0.004;     // seconds beyond the margin that are left alone
constexpr double kGrowth = 0.005;        // seconds that an underrun adds to the margin
constexpr double kMostMargin = 0.25;     // seconds

std::size_t samples(double seconds, double rate) {
  return static_cast<std::size_t>(seconds * rate);
}

}  // namespace

Playout::Playout(Ring& ring, const PlayoutSettings& settings)
    : ring_(ring),
      settings_(settings),
      fade_(std::min(kMostFade, std::max<std::size_t>(1, samples(kFade, settings.rate)))),
      window_(samples(kWindow, settings.rate)),
      least_(std::numeric_limits<std::size_t>::max()),
      margin_(settings.margin) {}

std::size_t Playout::read(Span<float> out) PYVOC_RT {
  const bool ended = ended_.load(std::memory_order_acquire);  // before the level: it is final then
  const std::size_t fill = ring_.readable();
  if (settings_.no_silence || (ended && fill < out.size())) {
    const std::size_t n = ring_.read(out);
    std::fill(out.begin() + n, out.end(), 0.0f);
    add(played_, n);
    if (ended && n == fill) done_.store(true, std::memory_order_release);
    return n;
  }
  if (!playing_.load(std::memory_order_relaxed)) {
    const std::size_t wanted = out.size() + margin() + settings_.ripple;
    if (fill < wanted && !ended) {
      std::fill(out.begin(), out.end(), 0.0f);
      return 0;
    }
    if (!settings_.keep_all && fill > wanted) {
      add(dropped_, ring_.skip(fill - wanted));
      add(played_, fill - wanted);
      fade_in_ = fade_;
    }
    playing_.store(true, std::memory_order_relaxed);
    least_ = std::numeric_limits<std::size_t>::max();
    watched_ = surplus_ = 0;
    add(jumps_, 1);
  }
  if (fill < out.size()) return run_dry(out, fill);
  if (surplus_ > 0) {
    drop(std::min(surplus_, fill - out.size()), out);
    surplus_ = 0;
  } else {
    ring_.read(out);
    add(played_, out.size());
  }
  for (std::size_t i = 0; i < out.size() && fade_in_ > 0; ++i, --fade_in_) {
    out[i] *= static_cast<float>(fade_ - fade_in_) / static_cast<float>(fade_);
  }
  if (!out.empty()) last_ = out[out.size() - 1];
  watch(ring_.readable(), out.size());
  return out.size();
}

// What is left, then the last value, under a ramp to zero.
std::size_t Playout::run_dry(Span<float> out, std::size_t fill) PYVOC_RT {
  ring_.read(out.subspan(0, fill));
  const std::size_t end = std::min(out.size(), std::max(fill, fade_));
  const std::size_t begin = end - std::min(end, fade_);
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (i < fill) last_ = out[i];
    const float gain = i < begin ? 1.0f
                       : i < end ? static_cast<float>(end - i) / static_cast<float>(end - begin)
                                 : 0.0f;
    out[i] = (i < fill ? out[i] : last_) * gain;
  }
  last_ = 0.0f;
  add(played_, fill);
  add(silence_, out.size() - fill);
  add(underruns_, 1);
  fade_in_ = fade_;
  playing_.store(false, std::memory_order_relaxed);
  slack_.store(0, std::memory_order_relaxed);
  const std::size_t most = samples(kMostMargin, settings_.rate);
  if (margin() < most) {
    margin_.store(std::min(most, margin() + samples(kGrowth, settings_.rate)),
                  std::memory_order_relaxed);
  }
  return fill;
}

void Playout::drop(std::size_t n, Span<float> out) PYVOC_RT {
  float old[kMostFade];
  const std::size_t fade = std::min({fade_, n, out.size()});
  ring_.read({old, fade});
  ring_.skip(n - fade);
  ring_.read(out);
  for (std::size_t i = 0; i < fade; ++i) {
    const float w = static_cast<float>(i + 1) / static_cast<float>(fade + 1);
    out[i] = old[i] + w * (out[i] - old[i]);
  }
  add(dropped_, n);
  add(played_, n + out.size());
  add(jumps_, 1);
}

void Playout::watch(std::size_t left, std::size_t n) PYVOC_RT {
  least_ = std::min(least_, left);
  watched_ += n;
  if (watched_ < window_) return;
  slack_.store(least_, std::memory_order_relaxed);
  const std::size_t enough = margin() + samples(kTolerance, settings_.rate);
  const std::size_t unseen = settings_.drifting ? settings_.ripple : 0;
  // It may have begun at the low end of the swing and be at the high one now.
  if (!settings_.keep_all && least_ > enough + 2 * unseen) surplus_ = least_ - margin() - unseen;
  least_ = std::numeric_limits<std::size_t>::max();
  watched_ = 0;
}

}  // namespace pyvoc::api
