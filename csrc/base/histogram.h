// Histogram of durations, 1 microsecond to 70 minutes, 16 bins per octave (so quantiles are right
// to 5 %; the greatest is exact). One thread adds, any thread reads while it does; real-time safe.
#ifndef PYVOC_BASE_HISTOGRAM_H_
#define PYVOC_BASE_HISTOGRAM_H_

#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "base/realtime.h"

namespace pyvoc {

class Histogram {
 public:
  // What is not positive counts as the shortest.
  void add(double seconds) PYVOC_RT {
    const double octaves = seconds > kShortest ? std::log2(seconds / kShortest) : 0.0;
    const double bin = octaves * kPerOctave;
    const std::size_t i = bin < kBins - 1 ? static_cast<std::size_t>(bin) : kBins - 1;
    bump(bins_[i]);
    bump(count_);
    if (seconds > most_.load(std::memory_order_relaxed)) {
      most_.store(seconds, std::memory_order_relaxed);
    }
  }

  std::uint64_t count() const PYVOC_RT { return count_.load(std::memory_order_relaxed); }
  double most() const PYVOC_RT { return most_.load(std::memory_order_relaxed); }

  // The duration that a part `q` of all does not exceed; 0 of none.
  double quantile(double q) const PYVOC_RT {
    const double wanted = q * static_cast<double>(count());
    double seen = 0.0;
    for (std::size_t i = 0; i < kBins; ++i) {
      seen += static_cast<double>(bins_[i].load(std::memory_order_relaxed));
      if (seen >= wanted && seen > 0.0) {
        const double upper = kShortest * std::exp2((static_cast<double>(i) + 1.0) / kPerOctave);
        return upper < most() ? upper : most();
      }
    }
    return most();
  }

 private:
  static constexpr double kShortest = 1e-6;
  static constexpr double kPerOctave = 16.0;
  static constexpr std::size_t kBins = 512;

  static void bump(std::atomic<std::uint64_t>& x) PYVOC_RT {  // one writer: no locked addition
    x.store(x.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }

  std::atomic<std::uint64_t> bins_[kBins] = {};
  std::atomic<std::uint64_t> count_{0};
  std::atomic<double> most_{0.0};
};

}  // namespace pyvoc
#endif  // PYVOC_BASE_HISTOGRAM_H_
