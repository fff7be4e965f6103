// The matrix of a convolution over time-major rows, packed for the kernels: several sources side by
// side (a 3-tap convolution, or the two 1 x 1 convolutions of a residual block) become one product.
// Immutable once packed; run() may be called from any thread, and is real-time safe on the native
// backend. Another backend has its own plan; the native weights stay beside it, for when that
// fails.
#ifndef PYVOC_NN_CONV_H_
#define PYVOC_NN_CONV_H_

#include <memory>
#include <vector>

#include "backends/backend.h"
#include "base/arena.h"
#include "base/realtime.h"
#include "base/status.h"
#include "base/team.h"
#include "kernels/table.h"
#include "nn/linear.h"

namespace pyvoc::nn {

// What a model file holds: [outputs, inputs, taps], or [inputs, outputs, taps] when transposed.
struct ConvSource {
  backends::Weights type = backends::Weights::kF32;
  const void* data = nullptr;
  int outputs = 0, inputs = 0, taps = 1;
  bool transposed = false;
  const float* bias = nullptr;  // [outputs]
  // int8: real sum = scale [outputs] * sum over the inputs of q (u - input_zero [inputs]).
  const float* scale = nullptr;
  const float* input_zero = nullptr;

  float at(int output, int input, int tap) const;  // a float weight of one that is not transposed
};

class Conv {
 public:
  Conv() = default;

  // Convolutions whose sums are added: columns are source after source, tap after tap, channels
  // padded to kVector. int8: `scale` must be the same for all of them.
  static Result<Conv> pack(const std::vector<ConvSource>& sources,
                           const kernels::KernelTable& kernels, Arena& arena);

  // A transposed convolution with twice as many taps as its stride. A row of outputs is `stride`
  // rows of channels, each padded to kVector, and its columns are two neighbouring rows of inputs.
  static Result<Conv> pack_transposed(const ConvSource& source, const kernels::KernelTable& kernels,
                                      Arena& arena);

  const backends::MatVec& description() const { return layer_; }
  const char* backend() const { return backend_; }
  bool native() const { return plan_ == nullptr; }
  int outputs() const PYVOC_RT { return outputs_; }     // padded
  const float* bias() const PYVOC_RT { return bias_; }  // [outputs()]; int8: with the zeros

  // Rows of outputs, shared by a team: the numbers do not depend on how. `out` says what to do with
  // the sums; bias, scale and stride are filled in.
  template <typename X>
  void run(Team& team, const kernels::ConvInput<X>& in, int rows,
           kernels::ConvOutput out) const PYVOC_RT {
    out.stride = outputs_;
    const Grid grid = divide(rows, team);
    const int panels = outputs_ / kVector;
    team.run(grid.rows * grid.panels, [&](int piece) {
      const Team::Range r = Team::Range::of(rows, piece / grid.panels, grid.rows);
      const Team::Range p = Team::Range::of(panels, piece % grid.panels, grid.panels);
      kernels::ConvInput<X> from = in;
      for (int s = 0; s < in.segments; ++s) from.base[s] += r.first * in.stride[s];
      compute(from, r.count, p.first, p.count, part(out, r.first, p.first));
    });
  }

  // The same on the calling thread.
  template <typename X>
  void run(const kernels::ConvInput<X>& in, int rows, kernels::ConvOutput out) const PYVOC_RT {
    out.stride = outputs_;
    compute(in, rows, 0, outputs_ / kVector, part(out, 0, 0));
  }

 private:
  struct Grid {
    int rows = 1, panels = 1;
  };

  Result<const backends::Backend*> begin(backends::Op op, backends::Weights type, int outputs,
                                         int columns, const kernels::KernelTable& kernels,
                                         Arena& arena);
  void put(const ConvSource& source, int output, int input, int tap, int row, int column);
  void finish(const ConvSource& source, int output, int row, int first_column, int columns);

  Status make_plan(const backends::Backend& backend);

  Grid divide(int rows, const Team& team) const PYVOC_RT;
  kernels::ConvOutput part(kernels::ConvOutput out, int row, int panel) const PYVOC_RT;
  void compute(const kernels::ConvInput<float>& in, int rows, int panel, int panels,
               const kernels::ConvOutput& out) const PYVOC_RT;
  void compute(const kernels::ConvInput<std::uint8_t>& in, int rows, int panel, int panels,
               const kernels::ConvOutput& out) const PYVOC_RT;

  const kernels::KernelTable* kernels_ = nullptr;
  const char* backend_ = "";
  std::shared_ptr<const backends::ConvPlan> plan_;  // null: the kernels below
  backends::MatVec layer_;
  int outputs_ = 0;
  void* weights_ = nullptr;
  float* bias_ = nullptr;
  float* scale_ = nullptr;
  std::int32_t* row_sums_ = nullptr;
  kernels::Dense<float> f32_;
  kernels::Dense<kernels::Bf16> bf16_;
  kernels::Dense<std::int8_t> i8_;
};

}  // namespace pyvoc::nn
#endif  // PYVOC_NN_CONV_H_
