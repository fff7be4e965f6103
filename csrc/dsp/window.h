// The periodic Hann window [length], in double precision.
#ifndef PYVOC_DSP_WINDOW_H_
#define PYVOC_DSP_WINDOW_H_

#include <cmath>
#include <cstddef>
#include <vector>

namespace pyvoc::dsp {

inline std::vector<double> hann_window(std::size_t length) {
  constexpr double kPi = 3.14159265358979323846;
  std::vector<double> window(length);
  for (std::size_t i = 0; i < length; ++i) {
    const double turn = static_cast<double>(i) / static_cast<double>(length);
    window[i] = 0.5 - 0.5 * std::cos(2.0 * kPi * turn);
  }
  return window;
}

}  // namespace pyvoc::dsp
#endif  // PYVOC_DSP_WINDOW_H_
