#include "dsp/mel_extractor.h"

#include <algorithm>
#include <cmath>

namespace pyvoc::dsp {
namespace {

constexpr double kPi = 3.14159265358979323846;

// Where sample i of a signal of n >= 1 samples lies after reflection about its ends.
std::int64_t reflected(std::int64_t i, std::int64_t n) PYVOC_RT {
  if (n == 1) return 0;
  const std::int64_t period = 2 * (n - 1);
  std::int64_t at = i % period;
  if (at < 0) at += period;
  return at < n ? at : period - at;
}

}  // namespace

MelExtractor::MelExtractor(const MelRecipe& recipe)
    : recipe_(recipe),
      filters_(recipe),
      fft_(recipe.fft_length),
      reach_(static_cast<std::int64_t>(recipe.pad) -
             static_cast<std::int64_t>((recipe.fft_length - recipe.window_length) / 2)),
      window_(recipe.window_length),
      input_(recipe.fft_length),
      spectrum_(fft_.bins()),
      mel_(recipe.bands),
      edge_(recipe.window_length),
      keep_(2 * recipe.fft_length + recipe.window_length + recipe.hop_length) {
  for (std::size_t i = 0; i < window_.size(); ++i) {
    const double turn = static_cast<double>(i) / static_cast<double>(window_.size());
    window_[i] = 0.5 - 0.5 * std::cos(2.0 * kPi * turn);
  }
  line_.resize(2 * keep_);
}

std::size_t MelExtractor::latency_samples() const { return recipe_.window_length / 2; }

std::uint64_t MelExtractor::due(std::uint64_t samples) const PYVOC_RT {
  const auto n = static_cast<std::int64_t>(samples);
  const auto window = static_cast<std::int64_t>(recipe_.window_length);
  if (recipe_.padding == MelPadding::kReflect && n <= reach_) return 0;
  if (n == 0 || n < window - reach_) return 0;
  const std::uint64_t complete =
      static_cast<std::uint64_t>(n - (window - reach_)) / recipe_.hop_length + 1;
  return std::min<std::uint64_t>(complete, recipe_.frames(samples));
}

std::size_t MelExtractor::frames_after(std::size_t n) const PYVOC_RT {
  const std::uint64_t total = first_ + filled_ + n;
  const std::uint64_t frames = n == 0 ? recipe_.frames(total) : due(total);
  return static_cast<std::size_t>(frames - frames_);
}

std::size_t MelExtractor::push(Span<const float> pcm, float* out) PYVOC_RT {
  std::size_t written = 0;
  for (std::size_t at = 0; at < pcm.size();) {
    if (filled_ == line_.size()) make_room();
    const std::size_t take = std::min(pcm.size() - at, line_.size() - filled_);
    std::copy(pcm.data() + at, pcm.data() + at + take, line_.data() + filled_);
    filled_ += take;
    at += take;
    for (const std::uint64_t complete = due(first_ + filled_); frames_ < complete; ++frames_) {
      frame(frames_, out + written++ * recipe_.bands);
    }
  }
  return written;
}

std::size_t MelExtractor::flush(float* out) PYVOC_RT {
  std::size_t written = 0;
  for (const std::uint64_t all = recipe_.frames(first_ + filled_); frames_ < all; ++frames_) {
    frame(frames_, out + written++ * recipe_.bands);
  }
  return written;
}

void MelExtractor::reset() PYVOC_RT {
  filled_ = 0;
  first_ = frames_ = 0;
}

void MelExtractor::make_room() PYVOC_RT {
  const std::size_t drop = filled_ - keep_;
  std::copy(line_.data() + drop, line_.data() + filled_, line_.data());
  first_ += drop;
  filled_ = keep_;
}

void MelExtractor::frame(std::uint64_t index, float* out) PYVOC_RT {
  const auto window = static_cast<std::int64_t>(recipe_.window_length);
  const auto first = static_cast<std::int64_t>(first_);
  const auto n = static_cast<std::int64_t>(first_ + filled_);
  const std::int64_t start = static_cast<std::int64_t>(index * recipe_.hop_length) - reach_;
  if (start >= 0 && start + window <= n) {
    compute(line_.data() + (start - first), out);
    return;
  }
  for (std::int64_t i = 0; i < window; ++i) {
    const std::int64_t at = start + i;
    const bool inside = at >= 0 && at < n;
    const bool zero = !inside && recipe_.padding == MelPadding::kZero;
    edge_[static_cast<std::size_t>(i)] =
        zero ? 0.0f : line_[static_cast<std::size_t>((inside ? at : reflected(at, n)) - first)];
  }
  compute(edge_.data(), out);
}

void MelExtractor::compute(const float* window, float* out) PYVOC_RT {
  // Zeros surround a window that is shorter than the transform; they are never overwritten.
  double* in = input_.data() + (recipe_.fft_length - recipe_.window_length) / 2;
  for (std::size_t i = 0; i < window_.size(); ++i) in[i] = window[i] * window_[i];
  fft_.power(input_.data(), spectrum_.data());
  if (recipe_.power == 1) {
    double* spectrum = spectrum_.data();
    for (std::size_t k = filters_.first_bin(); k < filters_.end_bin(); ++k) {
      spectrum[k] = std::sqrt(spectrum[k]);
    }
  }
  filters_.apply(spectrum_.data(), mel_.data());
  const double floor = recipe_.floor, ref = recipe_.ref_db, min = recipe_.min_db;
  for (std::size_t b = 0; b < recipe_.bands; ++b) {
    const double mel = std::max(mel_[b], floor);
    double value = recipe_.log == MelLog::kLn ? std::log(mel) : std::log10(mel);
    if (recipe_.log == MelLog::kDb) value *= 20.0 / recipe_.power;
    if (recipe_.normalized) value = std::clamp((value - ref - min) / -min, 0.0, 1.0);
    out[b] = static_cast<float>(value);
  }
}

}  // namespace pyvoc::dsp
