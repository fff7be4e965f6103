#include "dsp/folds.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace pyvoc::dsp {
namespace {

constexpr std::size_t kFadeFrames = 20;  // of upstream's fade-out

std::string text(std::size_t n) { return std::to_string(n); }

// A smooth ramp of n points from 0 to 1, the ends left out.
double smooth_ramp(std::size_t k, std::size_t n) {
  const double x = (static_cast<double>(k) + 0.5) / static_cast<double>(n);
  return x * x * (3.0 - 2.0 * x);
}

// A straight one, the ends included.
double straight_ramp(std::size_t k, std::size_t n) {
  return n < 2 ? 0.0 : static_cast<double>(k) / static_cast<double>(n - 1);
}

// 0 where one of both is silent, or where they cancel.
double correlation(const float* a, const float* b, std::size_t n) {
  double aa = 0.0, ab = 0.0, bb = 0.0;
  for (std::size_t k = 0; k < n; ++k) {
    const double x = a[k], y = b[k];
    aa += x * x;
    ab += x * y;
    bb += y * y;
  }
  const double power = std::sqrt(aa * bb);
  return ab > 0.0 && power > 0.0 ? std::min(ab / power, 1.0) : 0.0;
}

}  // namespace

std::string Folds::problem(const FoldSettings& s) {
  if (s.frames == 0 || s.hop_length == 0) return "the utterance has no frames";
  if (s.frames > kMostSamples / s.hop_length) {
    return "the utterance has " + text(s.frames) + " frames, too many to fold";
  }
  if (s.upstream && s.frames <= kFadeFrames) {
    return "the utterance has " + text(s.frames) + " frames: upstream fades the last " +
           text(kFadeFrames) + " out and drops one, it speaks no less than " +
           text(kFadeFrames + 1);
  }
  if (s.target == 0) {
    return s.overlap == 0 ? "" : "an overlap of " + text(s.overlap) + " without folds";
  }
  if (s.overlap >= s.target) {
    return "the overlap of " + text(s.overlap) + " samples must be less than the target of " +
           text(s.target);
  }
  const std::size_t samples = s.frames * s.hop_length;
  if (s.upstream && s.target <= kMostSamples && samples > s.overlap) return "";
  if (s.target > kMostSamples || samples < s.target + 2 * s.overlap) {
    return "folds of " + text(s.target) + " + 2 x " + text(s.overlap) +
           " samples are longer than the utterance, which has " + text(samples) +
           ": take a shorter target, or do not fold";
  }
  return "";
}

Folds::Folds(const FoldSettings& settings) : settings_(settings) {
  const std::size_t target = settings.target, overlap = settings.overlap;
  const std::size_t spoken = settings.frames * settings.hop_length;
  samples_ = settings.upstream ? spoken - settings.hop_length : spoken;
  if (target == 0) {
    count_ = 1;
    length_ = step_ = samples_;
    return;
  }
  const std::size_t inner = spoken - overlap;
  count_ = (inner + target + overlap - 1) / (target + overlap);
  if (settings.upstream) {
    step_ = target + overlap;
    longer_ = 0;
    length_ = step_ + overlap;
    // A fold that begins in the hop that is dropped is not heard.
    count_ = std::min(count_, (samples_ + step_ - 1) / step_);
  } else {
    step_ = inner / count_;
    longer_ = inner % count_;
    if (step_ >= settings.grid) grid_ = settings.grid;
    for (std::size_t i = 0; i < count_; ++i) length_ = std::max(length_, (*this)[i].samples);
  }
}

Fold Folds::operator[](std::size_t i) const {
  if (settings_.target == 0) return {0, samples_};
  const std::size_t from = start(i);
  const std::size_t end = settings_.upstream ? from + length_ : start(i + 1) + settings_.overlap;
  return {from, std::min(end, samples_) - from};
}

void Folds::join(const float* const* folds, float* out) const {
  if (settings_.upstream) return join_upstream(folds, out);
  join_ours(folds, out);
}

void Folds::join_ours(const float* const* folds, float* out) const {
  const std::size_t overlap = settings_.overlap, warm = overlap / 2, faded = overlap - warm;
  for (std::size_t i = 0; i < count_; ++i) {
    const Fold fold = (*this)[i];
    float* to = out + fold.start;
    const std::size_t before = i == 0 ? 0 : overlap;
    if (before > 0) {
      // `to` holds the end of the fold before.
      const float *from = folds[i] + warm, *past = to + warm;
      const double both = 2.0 * correlation(past, from, faded);
      for (std::size_t k = 0; k < faded; ++k) {
        const double ramp = smooth_ramp(k, faded);
        const double up = std::sqrt(ramp), down = std::sqrt(1.0 - ramp);
        const double gain = 1.0 / std::sqrt(1.0 + both * up * down);
        const double sum =
            gain * (down * static_cast<double>(past[k]) + up * static_cast<double>(from[k]));
        to[warm + k] = static_cast<float>(std::min(std::max(sum, -1.0), 1.0));
      }
    }
    std::copy(folds[i] + before, folds[i] + fold.samples, to + before);
  }
}

void Folds::join_upstream(const float* const* folds, float* out) const {
  const std::size_t overlap = settings_.overlap, whole = overlap / 2, faded = overlap - whole;
  std::vector<double> sum(samples_, 0.0);
  for (std::size_t i = 0; i < count_; ++i) {
    const Fold fold = (*this)[i];
    for (std::size_t k = 0; k < fold.samples; ++k) {
      double gain = 1.0;
      if (k < overlap) gain = k < whole ? 0.0 : std::sqrt(straight_ramp(k - whole, faded));
      if (overlap > 0 && k >= length_ - faded) {
        gain *= std::sqrt(1.0 - straight_ramp(k - (length_ - faded), faded));
      }
      sum[fold.start + k] += gain * static_cast<double>(folds[i][k]);
    }
  }
  const std::size_t fade = kFadeFrames * settings_.hop_length;
  for (std::size_t i = 0; i < samples_; ++i) {
    const std::size_t left = samples_ - i;
    const double gain = left > fade ? 1.0 : 1.0 - straight_ramp(fade - left, fade);
    out[i] = static_cast<float>(gain * sum[i]);
  }
}

}  // namespace pyvoc::dsp
