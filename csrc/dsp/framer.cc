#include "dsp/framer.h"

#include <algorithm>

namespace pyvoc::dsp {
namespace {

// Where sample i of a signal of n >= 1 samples lies after reflection about its ends.
std::int64_t reflected(std::int64_t i, std::int64_t n) PYVOC_RT {
  if (n == 1) return 0;
  const std::int64_t period = 2 * (n - 1);
  std::int64_t at = i % period;
  if (at < 0) at += period;
  return at < n ? at : period - at;
}

}  // namespace

Framer::Framer(std::size_t window, std::size_t hop, std::int64_t reach, bool mirror,
               std::size_t keep)
    : window_(window),
      hop_(hop),
      keep_(keep),
      reach_(reach),
      mirror_(mirror),
      edge_(window),
      line_(2 * keep) {}

std::uint64_t Framer::complete(std::uint64_t samples) const PYVOC_RT {
  const auto n = static_cast<std::int64_t>(samples);
  const std::int64_t first = static_cast<std::int64_t>(window_) - reach_;  // samples of frame 0
  if (mirror_ && n <= reach_) return 0;
  if (n == 0 || n < first) return 0;
  return static_cast<std::uint64_t>(n - first) / hop_ + 1;
}

std::size_t Framer::add(Span<const float> pcm) PYVOC_RT {
  if (filled_ == line_.size()) make_room();
  const std::size_t take = std::min(pcm.size(), line_.size() - filled_);
  std::copy(pcm.data(), pcm.data() + take, line_.data() + filled_);
  filled_ += take;
  return take;
}

const float* Framer::frame(std::uint64_t index) PYVOC_RT {
  const auto window = static_cast<std::int64_t>(window_);
  const auto first = static_cast<std::int64_t>(first_);
  const auto n = static_cast<std::int64_t>(size());
  const std::int64_t start = static_cast<std::int64_t>(index * hop_) - reach_;
  if (start >= 0 && start + window <= n) return line_.data() + (start - first);
  for (std::int64_t i = 0; i < window; ++i) {
    const std::int64_t at = start + i;
    const bool inside = at >= 0 && at < n;
    const std::int64_t from = inside ? at : reflected(at, n);
    edge_[static_cast<std::size_t>(i)] =
        inside || mirror_ ? line_[static_cast<std::size_t>(from - first)] : 0.0f;
  }
  return edge_.data();
}

void Framer::reset() PYVOC_RT {
  filled_ = 0;
  first_ = 0;
}

void Framer::make_room() PYVOC_RT {
  const std::size_t drop = filled_ - keep_;
  std::copy(line_.data() + drop, line_.data() + filled_, line_.data());
  first_ += drop;
  filled_ = keep_;
}

}  // namespace pyvoc::dsp
