#include "dsp/mel_extractor.h"

#include <algorithm>
#include <cmath>

#include "base/counts.h"
#include "dsp/window.h"

namespace pyvoc::dsp {
namespace {

// Samples of padding under the first frame's window; negative where the window begins later.
std::int64_t reach(const MelRecipe& r) {
  return static_cast<std::int64_t>(r.pad) -
         static_cast<std::int64_t>((r.fft_length - r.window_length) / 2);
}

}  // namespace

MelExtractor::MelExtractor(const MelRecipe& recipe)
    : recipe_(recipe),
      filters_(recipe),
      fft_(recipe.fft_length),
      framer_(recipe.window_length, recipe.hop_length, reach(recipe),
              recipe.padding == MelPadding::kReflect,
              2 * recipe.fft_length + recipe.window_length + recipe.hop_length),
      window_(hann_window(recipe.window_length)),
      input_(recipe.fft_length),
      spectrum_(fft_.bins()),
      mel_(recipe.bands) {}

std::size_t MelExtractor::latency_samples() const PYVOC_RT { return recipe_.window_length / 2; }

std::uint64_t MelExtractor::due(std::uint64_t samples) const PYVOC_RT {
  return std::min<std::uint64_t>(framer_.complete(samples), recipe_.frames(samples));
}

std::size_t MelExtractor::frames_after(std::size_t n) const PYVOC_RT {
  const std::uint64_t total = add_counts(framer_.size(), n);
  const std::uint64_t frames = n == 0 ? recipe_.frames(total) : due(total);
  return frames > frames_ ? static_cast<std::size_t>(frames - frames_) : 0;  // less after flush
}

std::size_t MelExtractor::push(Span<const float> pcm, float* out) PYVOC_RT {
  std::size_t written = 0;
  for (std::size_t at = 0; at < pcm.size();) {
    at += framer_.add(pcm.subspan(at, pcm.size() - at));
    for (const std::uint64_t complete = due(framer_.size()); frames_ < complete; ++frames_) {
      compute(framer_.frame(frames_), out + written++ * recipe_.bands);
    }
  }
  return written;
}

std::size_t MelExtractor::flush(float* out) PYVOC_RT {
  std::size_t written = 0;
  for (const std::uint64_t all = recipe_.frames(framer_.size()); frames_ < all; ++frames_) {
    compute(framer_.frame(frames_), out + written++ * recipe_.bands);
  }
  return written;
}

void MelExtractor::reset() PYVOC_RT {
  framer_.reset();
  frames_ = 0;
}

void MelExtractor::compute(const float* window, float* out) PYVOC_RT {
  // Zeros surround a window that is shorter than the transform; they are never overwritten.
  double* in = input_.data() + (recipe_.fft_length - recipe_.window_length) / 2;
  for (std::size_t i = 0; i < window_.size(); ++i) in[i] = window[i] * window_[i];
  fft_.power(input_.data(), spectrum_.data());
  double* spectrum = spectrum_.data();
  for (std::size_t k = filters_.first_bin(); k < filters_.end_bin(); ++k) {
    const double power = spectrum[k] + recipe_.epsilon;
    spectrum[k] = recipe_.power == 1 ? std::sqrt(power) : power;
  }
  filters_.apply(spectrum, mel_.data());
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
