#include "dsp/mel_filters.h"

#include <algorithm>
#include <cmath>

namespace pyvoc::dsp {
namespace {

// Slaney's scale: linear below 1 kHz (3 mel per 200 Hz), then 27 mel per factor of 6.4.
constexpr double kHzPerMel = 200.0 / 3.0;
constexpr double kBreakHz = 1000.0;
constexpr double kBreakMel = kBreakHz / kHzPerMel;
const double kLogStep = std::log(6.4) / 27.0;

}  // namespace

double mel_of_hz(double hz) {
  return hz < kBreakHz ? hz / kHzPerMel : kBreakMel + std::log(hz / kBreakHz) / kLogStep;
}

double hz_of_mel(double mel) {
  return mel < kBreakMel ? mel * kHzPerMel : kBreakHz * std::exp(kLogStep * (mel - kBreakMel));
}

MelFilters::MelFilters(const MelRecipe& r) {
  const std::size_t bins = r.fft_length / 2 + 1;
  const double bin_hz = static_cast<double>(r.sample_rate) / static_cast<double>(r.fft_length);
  const double low = mel_of_hz(static_cast<double>(r.fmin)),
               high = mel_of_hz(static_cast<double>(r.fmax));
  std::vector<double> edges(r.bands + 2);
  for (std::size_t i = 0; i < edges.size(); ++i) {
    edges[i] =
        hz_of_mel(low + (high - low) * static_cast<double>(i) / static_cast<double>(r.bands + 1));
  }
  first_bin_ = bins;
  for (std::size_t b = 0; b < r.bands; ++b) {
    const double left = edges[b], centre = edges[b + 1], right = edges[b + 2];
    const double height = 2.0 / (right - left);
    Filter filter{0, 0, weights_.size()};
    for (std::size_t k = 0; k < bins; ++k) {
      const double hz = static_cast<double>(k) * bin_hz;
      const double w = std::min((hz - left) / (centre - left), (right - hz) / (right - centre));
      if (!(w > 0.0)) continue;
      if (filter.count++ == 0) filter.first = k;
      weights_.push_back(w * height);
    }
    if (filter.count > 0) {
      first_bin_ = std::min(first_bin_, filter.first);
      end_bin_ = std::max(end_bin_, filter.first + filter.count);
    }
    filters_.push_back(filter);
  }
  first_bin_ = std::min(first_bin_, end_bin_);
}

void MelFilters::apply(const double* spectrum, double* mel) const PYVOC_RT {
  for (const Filter& filter : filters_) {
    const double* x = spectrum + filter.first;
    const double* w = weights_.data() + filter.weights;
    double sums[4] = {};
    std::size_t k = 0;
    for (; k + 4 <= filter.count; k += 4) {
      for (std::size_t j = 0; j < 4; ++j) sums[j] += x[k + j] * w[k + j];
    }
    for (; k < filter.count; ++k) sums[k % 4] += x[k] * w[k];
    *mel++ = (sums[0] + sums[2]) + (sums[1] + sums[3]);
  }
}

}  // namespace pyvoc::dsp
