// What a layer costs, from measurements: a model of three constants per backend, tier and type of
// weights, fitted to the table that benchmarks/conv_backends prints (docs/backends.md).
#ifndef PYVOC_BACKENDS_RATES_H_
#define PYVOC_BACKENDS_RATES_H_

#include "backends/backend.h"

namespace pyvoc::backends {

struct Rates {
  double gmacs = 0.0;       // multiply-adds per nanosecond
  double per_output = 0.0;  // nanoseconds for each output of a row: what is made of its sum
  double per_input = 0.0;   // and for each input: where rows are copied
};

// Nanoseconds per row.
inline double cost_of(const MatVec& layer, const Rates& rates) {
  return static_cast<double>(layer.rows) * layer.cols / rates.gmacs +
         layer.rows * rates.per_output + layer.cols * rates.per_input;
}

// Tiers that were measured.
enum class Measured { kAvx2, kAvx512, kNone };
Measured measured_tier();

}  // namespace pyvoc::backends
#endif  // PYVOC_BACKENDS_RATES_H_
