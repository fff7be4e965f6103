// Who computes a layer. Each backend answers, for the description of a layer, what it would cost;
// the cheapest is asked once, at load time. `native` does everything and is the oracle for the
// others.
#ifndef PYVOC_BACKENDS_BACKEND_H_
#define PYVOC_BACKENDS_BACKEND_H_

#include <string>
#include <vector>

#include "base/status.h"

namespace pyvoc::backends {

enum class Op { kDense, kSparse8x4, kSparse16x1, kConv, kConvTransposed };
enum class Weights { kF32, kBf16, kI8 };

const char* op_name(Op op);
const char* weights_name(Weights weights);

// A matrix-vector product y = W x; a convolution is one for every row of its input.
struct MatVec {
  Op op = Op::kDense;
  Weights weights = Weights::kF32;
  int rows = 0, cols = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual const char* name() const = 0;
  // Why it cannot be used on this machine; empty when it can.
  virtual std::string unavailable() const = 0;
  // Relative cost of a call; negative when it cannot do it.
  virtual double cost(const MatVec& layer) const = 0;
};

// All backends of this build.
const std::vector<const Backend*>& backends();

// The cheapest available backend for `layer`, or the one that the environment variable
// PYVOC_BACKEND names (an unknown, unavailable or unable one is an error).
Result<const Backend*> choose(const MatVec& layer);

}  // namespace pyvoc::backends
#endif  // PYVOC_BACKENDS_BACKEND_H_
