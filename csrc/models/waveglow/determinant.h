// The logarithm of a determinant, in double precision.
#ifndef PYVOC_MODELS_WAVEGLOW_DETERMINANT_H_
#define PYVOC_MODELS_WAVEGLOW_DETERMINANT_H_

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

namespace pyvoc::models::waveglow {

// ln det of a matrix [n][n] by elimination with row pivots; NaN unless it is positive.
inline double log_determinant(std::vector<double> m, int n) {
  const auto at = [&](int row, int column) -> double& {
    return m[static_cast<std::size_t>(row) * static_cast<std::size_t>(n) +
             static_cast<std::size_t>(column)];
  };
  double sum = 0.0;
  bool positive = true;
  for (int k = 0; k < n; ++k) {
    int pivot = k;
    for (int i = k + 1; i < n; ++i) {
      if (std::fabs(at(i, k)) > std::fabs(at(pivot, k))) pivot = i;
    }
    if (pivot != k) {
      for (int j = k; j < n; ++j) std::swap(at(pivot, j), at(k, j));
    }
    positive = positive == ((pivot == k) == (at(k, k) > 0.0));
    sum += std::log(std::fabs(at(k, k)));  // -infinity when singular
    for (int i = k + 1; i < n; ++i) {
      const double factor = at(i, k) / at(k, k);
      for (int j = k + 1; j < n; ++j) at(i, j) -= factor * at(k, j);
    }
  }
  return positive && std::isfinite(sum) ? sum : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace pyvoc::models::waveglow
#endif  // PYVOC_MODELS_WAVEGLOW_DETERMINANT_H_
