// DriftControl: keeps the delay between two devices' clocks as it was by correcting a resampler.
//
// A proportional-integral controller, critically damped with a time constant of 20 seconds: what a
// sound card is off (tens of parts per million) it follows, what callbacks jitter by it averages
// out. One thread at a time; real-time safe.
#ifndef PYVOC_API_DRIFT_CONTROL_H_
#define PYVOC_API_DRIFT_CONTROL_H_

#include <algorithm>

#include "base/realtime.h"

namespace pyvoc::api {

class DriftControl {
 public:
  // After a jump: the delay from here on is the one to keep.
  void restart() PYVOC_RT {
    known_ = false;
    sum_ = time_ = 0.0;
  }

  // Takes the delay (seconds) over a stretch of `seconds`; true when factor() has changed.
  bool update(double delay, double seconds) PYVOC_RT {
    sum_ += delay * seconds;
    time_ += seconds;
    if (time_ < kWindow) return false;
    const double mean = sum_ / time_;
    const double elapsed = time_;
    sum_ = time_ = 0.0;
    if (!known_) {
      known_ = true;
      wanted_ = mean;
      return false;
    }
    const double error = mean - wanted_;
    const double most = kMost / kIntegral;
    integral_ = std::clamp(integral_ + error * elapsed, -most, most);
    factor_ = 1.0 - std::clamp(kProportional * error + kIntegral * integral_, -kMost, kMost);
    return true;
  }

  // Output samples to make for each that the nominal rates ask for.
  double factor() const PYVOC_RT { return factor_; }

 private:
  static constexpr double kWindow = 0.5;        // seconds
  static constexpr double kProportional = 0.1;  // per second
  static constexpr double kIntegral = 0.0025;   // per second squared
  static constexpr double kMost = 0.003;        // 5 cents: the ear does not notice

  bool known_ = false;
  double wanted_ = 0.0, sum_ = 0.0, time_ = 0.0, integral_ = 0.0, factor_ = 1.0;
};

}  // namespace pyvoc::api
#endif  // PYVOC_API_DRIFT_CONTROL_H_
