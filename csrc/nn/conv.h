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
  bool zero_per_tap = false;  // input_zero is [inputs, taps]

  float at(int output, int input, int tap) const;  // a float weight of one that is not transposed
};

// Rows of so few channels may be stored so wide: two of them are a vector then.
constexpr int kNarrow = kVector / 2;

class Conv {
 public:
  Conv() = default;

  // Convolutions whose sums are added: columns are source after source, tap after tap, channels
  // padded to kVector. int8: `scale` must be the same for all of them.
  static Result<Conv> pack(const std::vector<ConvSource>& sources,
                           const kernels::KernelTable& kernels, Arena& arena);

  // The same for gated sums, which run_gated() makes: the first half of the outputs is squashed by
  // tanh and multiplied by the logistic function of the second. Each half is padded to kVector.
  static Result<Conv> pack_gated(const std::vector<ConvSource>& sources,
                                 const kernels::KernelTable& kernels, Arena& arena);

  // A transposed convolution. A row of outputs is `stride` rows of channels, each padded to kVector
  // (`narrow`: to kNarrow; `stride` must be even), and its columns are taps / stride neighbouring
  // rows of inputs, rounded up, the oldest first.
  static Result<Conv> pack_transposed(const ConvSource& source, int stride, bool narrow,
                                      const kernels::KernelTable& kernels, Arena& arena);

  const backends::MatVec& description() const { return layer_; }
  const char* backend() const { return chosen_->name(); }
  bool native() const { return plan_ == nullptr; }
  int outputs() const PYVOC_RT { return outputs_; }     // of a row, padded
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

  static constexpr int kMostJobs = 32;

  // Gated sums: jobs one after the other, the outputs shared by a team. A row of what they write is
  // outputs() numbers, out.stride apart; the same thread makes the same outputs of all jobs.
  template <typename X>
  void run_gated(Team& team, const kernels::GatedRows<X>* jobs, int count) const PYVOC_RT;

 private:
  struct Grid {
    int rows = 1, panels = 1;
  };

  Status begin(backends::Op op, backends::Weights type, int outputs, int columns,
               const kernels::KernelTable& kernels, Arena& panels, Arena& arena);
  static Arena& panels_arena(backends::Weights type, const kernels::KernelTable& kernels,
                             Arena& arena, Arena& scratch);
  void keep_cells(const std::vector<int>& chunks, Arena& arena);
  // Columns are packed as pack() says; place(source, output) is the row of an output.
  template <typename Place>
  static Result<Conv> pack_rows(const std::vector<ConvSource>& sources, int rows,
                                const kernels::KernelTable& kernels, Arena& panels, Arena& arena,
                                const Place& place);
  void put(const ConvSource& source, int output, int tap, int row, int column);
  void finish(const ConvSource& source, int output, int row, int first_column, int columns);

  Status make_plan();

  Grid divide(int rows, const Team& team) const PYVOC_RT;
  kernels::ConvOutput part(kernels::ConvOutput out, int row, int panel) const PYVOC_RT;
  void compute(const kernels::ConvInput<float>& in, int rows, int panel, int panels,
               const kernels::ConvOutput& out) const PYVOC_RT;
  void compute(const kernels::ConvInput<std::uint8_t>& in, int rows, int panel, int panels,
               const kernels::ConvOutput& out) const PYVOC_RT;

  const kernels::KernelTable* kernels_ = nullptr;
  const backends::Backend* chosen_ = nullptr;
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
