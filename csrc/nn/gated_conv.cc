#include "nn/gated_conv.h"

#include <algorithm>
#include <cstring>

namespace pyvoc::nn {

using kernels::ConvInput;
using kernels::ConvOutput;
using kernels::GatedRows;

namespace {

// A convolution's weights g at the points of evaluation, as columns: first rows of pairs multiply
// (g0 + g1 + g2) / 2, (g0 - g1 + g2) / 2 and -g0, second ones g2.
struct PairWeights {
  explicit PairWeights(const ConvSource& conv)
      : of_first(3 * static_cast<std::size_t>(conv.outputs) * conv.inputs),
        of_second(of_first.size() / 3),
        zeros(conv.outputs),
        first(conv),
        second(conv) {
    for (int o = 0; o < conv.outputs; ++o) {
      for (int i = 0; i < conv.inputs; ++i) {
        const float g0 = conv.at(o, i, 0), g1 = conv.at(o, i, 1), g2 = conv.at(o, i, 2);
        const float ends = 0.5f * (g0 + g2);
        const std::size_t at = static_cast<std::size_t>(o) * conv.inputs + i;
        of_first[3 * at] = ends + 0.5f * g1;
        of_first[3 * at + 1] = ends - 0.5f * g1;
        of_first[3 * at + 2] = -g0;
        of_second[at] = g2;
      }
    }
    first.data = of_first.data();
    second.data = of_second.data();
    second.taps = 1;
    second.bias = zeros.data();
  }
  PairWeights(const PairWeights&) = delete;
  PairWeights& operator=(const PairWeights&) = delete;

  std::vector<float> of_first, of_second, zeros;
  ConvSource first, second;
};

template <typename X>
void add_segment(ConvInput<X>& in, const X* base, std::ptrdiff_t stride, int cols) PYVOC_RT {
  in.base[in.segments] = base;
  in.stride[in.segments] = stride;
  in.cols[in.segments] = cols;
  ++in.segments;
}

}  // namespace

Result<GatedConv> GatedConv::pack(const ConvSource& conv, const ConvSource& condition, int dilation,
                                  const kernels::KernelTable& kernels, Arena& arena) {
  GatedConv gated;
  gated.kernels_ = &kernels;
  gated.dilation_ = dilation;
  gated.condition_ = condition.taps * padded(condition.inputs);
  gated.paired_ = conv.type == backends::Weights::kF32;
  Result<Conv> packed = {Conv()};
  if (gated.paired_) {
    const PairWeights pairs(conv);
    packed = Conv::pack_gated({pairs.first, condition, pairs.second}, kernels, arena);
  } else {
    packed = Conv::pack_gated({conv, condition}, kernels, arena);
  }
  if (!packed.ok()) return packed.status();
  gated.conv_ = packed.value();
  return gated;
}

std::size_t GatedConv::scratch() const {
  if (!paired_) return 0;
  return static_cast<std::size_t>(kMostRows) * static_cast<std::size_t>(input_stride()) +
         static_cast<std::size_t>(kMostRows + dilation_) * sums();
}

// Sets of rows whose addresses are evenly spaced, the fewer the better: all rows that are alike
// modulo 2 dilation, or neighbours. There are at most sqrt(rows / 2) + 2 of them.
template <typename Use>
void GatedConv::for_rows(std::int64_t from, int rows, bool second, const Use& use) const PYVOC_RT {
  const int period = 2 * dilation_;
  const int start = static_cast<int>(from % period);
  if (rows > period * dilation_) {
    for (int i = 0; i < dilation_; ++i) {
      const int first = ((second ? dilation_ : 0) + i - start + period) % period;
      if (first < rows) use(Rows{first, period, (rows - first + period - 1) / period});
    }
    return;
  }
  for (int row = (second ? dilation_ : 0) - start - period; row < rows; row += period) {
    const int first = std::max(row, 0), end = std::min(row + dilation_, rows);
    if (first < end) use(Rows{first, 1, end - first});
  }
}

template <typename X>
void GatedConv::run_plainly(Team& team, const X* x, const X* condition, int rows,
                            ConvOutput out) const PYVOC_RT {
  GatedRows<X> job;
  for (int tap = 0; tap < kTaps; ++tap) {
    add_segment(job.in, x + std::ptrdiff_t{tap - kTaps / 2} * dilation_ * channels(), channels(),
                channels());
  }
  add_segment(job.in, condition, condition_, condition_);
  job.rows = rows;
  job.out = out;
  job.out.stride = channels();
  conv_.run_gated(team, &job, 1);
}

void GatedConv::run(Team& team, const std::uint8_t* x, const std::uint8_t* condition, std::int64_t,
                    int rows, ConvOutput out, float*, float*) const PYVOC_RT {
  run_plainly(team, x, condition, rows, out);
}

void GatedConv::run(Team& team, const float* x, const float* condition, std::int64_t from, int rows,
                    ConvOutput out, float* kept, float* scratch) const PYVOC_RT {
  if (!paired_) return run_plainly(team, x, condition, rows, out);
  const std::ptrdiff_t n = channels(), width = 2 * n, inputs = input_stride();
  float* sums = scratch + kMostRows * inputs;  // row i: what is known of row i beforehand
  const auto kept_row = [&](std::int64_t row) { return kept + row % dilation_ * width; };
  const std::size_t row_bytes = sizeof(float) * static_cast<std::size_t>(width);

  team.run(team.pieces_of(std::int64_t{rows} * inputs * 64), [&](int piece) {
    const Team::Range range =
        Team::Range::of(rows, piece, team.pieces_of(std::int64_t{rows} * inputs * 64));
    for (int i = range.first; i < range.first + range.count; ++i) {
      float* y = scratch + i * inputs;
      const bool whole = !second(from + i);
      kernels_->pair_inputs_f32(x + i * n, dilation_ * n, channels(), whole ? y : nullptr,
                                whole ? y + n : nullptr, y + 2 * n);
    }
  });
  for (int i = 0; i < std::min(rows, dilation_); ++i) {
    if (second(from + i)) std::memcpy(sums + i * width, kept_row(from + i), row_bytes);
  }

  GatedRows<float> jobs[Conv::kMostJobs];
  int count = 0;
  for (const bool second : {false, true}) {
    for_rows(from, rows, second, [&](const Rows& set) {
      GatedRows<float>& job = jobs[count++];
      job.rows = set.count;
      job.out = kernels::advanced(out, set.first * n);
      job.out.stride = set.step * n;
      job.sums_stride = set.step * width;
      const float* y = scratch + set.first * inputs;
      const float* c = condition + std::ptrdiff_t{set.first} * condition_;
      if (second) {
        job.column = kTaps * channels();
        job.begin = sums + set.first * width;
        add_segment(job.in, c, set.step * condition_, condition_);
        add_segment(job.in, y + 2 * n, set.step * inputs, channels());
      } else {
        job.leave = sums + (set.first + dilation_) * width;
        for (int s = 0; s < kTaps; ++s) {
          add_segment(job.in, y + s * n, set.step * inputs, channels());
        }
        add_segment(job.in, c, set.step * condition_, condition_);
      }
    });
  }
  conv_.run_gated(team, jobs, count);

  for (int i = std::max(rows, dilation_); i < rows + dilation_; ++i) {
    if (second(from + i)) std::memcpy(kept_row(from + i), sums + i * width, row_bytes);
  }
}

}  // namespace pyvoc::nn
