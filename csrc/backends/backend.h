// Who computes a layer. Each backend answers, for the description of a layer, what it would cost;
// the cheapest is asked once, at load time. `native` does everything and is the oracle for the
// others.
#ifndef PYVOC_BACKENDS_BACKEND_H_
#define PYVOC_BACKENDS_BACKEND_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "kernels/table.h"

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

// The matrix of a convolution as plans are made of it: [rows][cols], borrowed.
struct ConvMatrix {
  Weights weights = Weights::kF32;
  int rows = 0, cols = 0;
  const void* data = nullptr;
};

// What a backend made of a convolution. Immutable, shared by threads. Not real-time safe: the
// libraries behind it allocate.
class ConvPlan {
 public:
  virtual ~ConvPlan() = default;
  // What kernels::conv_* do (conv_views.h), all panels, up to rounding. A row's numbers depend on
  // that row of inputs only. False when it could not, with `out` in no particular state.
  virtual bool compute(const kernels::ConvInput<float>& in, int rows,
                       const kernels::ConvOutput& out) const noexcept = 0;
  virtual bool compute(const kernels::ConvInput<std::uint8_t>& in, int rows,
                       const kernels::ConvOutput& out) const noexcept = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual const char* name() const = 0;
  // What it is, e.g. a library's version and file; empty when there is nothing to say.
  virtual std::string about() const { return {}; }
  // Why it cannot be used on this machine; empty when it can.
  virtual std::string unavailable() const = 0;
  // Measured nanoseconds per row of outputs; negative when it cannot do it.
  virtual double cost(const MatVec& layer) const = 0;
  // For layers with a cost. A null plan: our own kernels do it.
  virtual Result<std::shared_ptr<const ConvPlan>> plan(const ConvMatrix&,
                                                       const kernels::KernelTable&) const {
    return std::shared_ptr<const ConvPlan>();
  }
};

// All backends of this build.
const std::vector<const Backend*>& backends();

// The cheapest available backend for `layer`; or the one that the environment variable
// PYVOC_BACKEND names (an unknown or unavailable one is an error), `native` for what it cannot do.
Result<const Backend*> choose(const MatVec& layer);

// Whether PYVOC_BACKEND names a backend.
bool forced();

}  // namespace pyvoc::backends
#endif  // PYVOC_BACKENDS_BACKEND_H_
