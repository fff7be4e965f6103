// A three-tap dilated convolution and a conditioning of the same rows, summed and gated: tanh of
// one half of the outputs times the logistic function of the other. float32 weights are multiplied
// pair by pair: rows t and t + dilation, which share inputs, need 4 products with a matrix instead
// of 6 (Winograd 1980, F(2,3)). Three of them make the first row, and all of the second one's sum
// that can be had before its last input arrives; that is kept till then. So pairs cost no delay,
// and no number depends on how a stream was cut. bfloat16 weights would have to be rounded once
// more, and bytes know no halves: they are multiplied plainly.
//
// Immutable once packed; run() is real-time safe and may be called from any thread.
#ifndef PYVOC_NN_GATED_CONV_H_
#define PYVOC_NN_GATED_CONV_H_

#include "nn/conv.h"

namespace pyvoc::nn {

class GatedConv {
 public:
  static constexpr int kTaps = 3;
  static constexpr int kMostRows = 256;  // of a run

  GatedConv() = default;

  // `conv` has three taps; its outputs, a multiple of 2, are those of `condition`. Throws
  // std::bad_alloc.
  static Result<GatedConv> pack(const ConvSource& conv, const ConvSource& condition, int dilation,
                                const kernels::KernelTable& kernels, Arena& arena);

  const Conv& conv() const { return conv_; }
  bool paired() const PYVOC_RT { return paired_; }

  // Floats that a stream keeps between runs; run() fills them, they need no beginning.
  std::size_t kept() const PYVOC_RT {
    return paired_ ? static_cast<std::size_t>(dilation_) * sums() : 0;
  }
  // Floats of working space that run() needs.
  std::size_t scratch() const;

  // `rows` rows from row `from` of the stream on, where the last run ended. Those of `x` and of
  // `condition` begin at that row; before it and behind the last one there are `dilation` more of
  // `x`. A row of x is as wide as a row of outputs. `out` says where gated rows go.
  void run(Team& team, const float* x, const float* condition, std::int64_t from, int rows,
           kernels::ConvOutput out, float* kept, float* scratch) const PYVOC_RT;
  void run(Team& team, const std::uint8_t* x, const std::uint8_t* condition, std::int64_t from,
           int rows, kernels::ConvOutput out, float* kept, float* scratch) const PYVOC_RT;

 private:
  // Rows first, first + step, ... of a run, all first rows of pairs or all second ones.
  struct Rows {
    int first, step, count;
  };

  int channels() const PYVOC_RT { return conv_.outputs(); }
  // Of the transformed inputs: not a power of two, so that rows do not share the cache's sets.
  int input_stride() const PYVOC_RT { return kTaps * channels() + kVector; }
  std::size_t sums() const PYVOC_RT { return 2 * static_cast<std::size_t>(channels()); }
  bool second(std::int64_t row) const PYVOC_RT { return (row / dilation_) % 2 != 0; }
  // Calls use(Rows) for the first or the second rows of pairs among rows [from, from + rows).
  template <typename Use>
  void for_rows(std::int64_t from, int rows, bool second, const Use& use) const PYVOC_RT;
  template <typename X>
  void run_plainly(Team& team, const X* x, const X* condition, int rows,
                   kernels::ConvOutput out) const PYVOC_RT;

  const kernels::KernelTable* kernels_ = nullptr;
  Conv conv_;
  int dilation_ = 1, condition_ = 0;  // condition_: columns
  bool paired_ = false;
};

}  // namespace pyvoc::nn
#endif  // PYVOC_NN_GATED_CONV_H_
