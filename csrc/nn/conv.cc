#include "nn/conv.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "backends/native/native.h"
#include "nn/cells.h"

namespace pyvoc::nn {

using backends::Op;
using backends::Weights;

namespace {

std::size_t element_size(Weights type) {
  return type == Weights::kF32 ? 4 : type == Weights::kBf16 ? 2 : 1;
}

// Where the kernels want a weight: panels of kVector rows, a lane holds `group` columns.
std::size_t packed_index(Weights type, int row, int column, int columns) {
  const int group = type == Weights::kF32 ? 1 : type == Weights::kBf16 ? 2 : 4;
  const std::size_t panel = static_cast<std::size_t>(row / kVector) * kVector * columns;
  return panel + static_cast<std::size_t>(column / group * kVector + row % kVector) * group +
         column % group;
}

// Copies n weights, `step` apart, to a row of the panels, to its columns from `column` on.
template <typename T>
void copy_weights(const ConvSource& source, std::size_t from, std::size_t step, int n, void* panels,
                  int row, int column, int columns) {
  constexpr std::size_t kGroup = 4 / sizeof(T);  // columns in a lane, as packed_index() has it
  const T* weights = static_cast<const T*>(source.data) + from;
  T* to = static_cast<T*>(panels) + packed_index(source.type, row, 0, columns);
  for (int i = 0; i < n; ++i) {
    const std::size_t c = static_cast<std::size_t>(column + i);
    to[c / kGroup * kVector * kGroup + c % kGroup] = weights[static_cast<std::size_t>(i) * step];
  }
}

template <typename T>
kernels::Dense<T> panels_of(kernels::Dense<T> w, int first, int count) {
  w.panels = count;
  w.weights += std::int64_t{kVector} * w.cols * first;
  if (w.row_sums != nullptr) w.row_sums += kVector * first;
  if (w.cells.first != nullptr) {
    w.cells.first += std::ptrdiff_t{2} * first;
    w.cells.counts += std::ptrdiff_t{2} * w.cells.chunks * 2 * first;
  }
  return w;
}

// What a segment of inputs is made of: a tap's channels.
std::vector<int> chunks_of(const std::vector<ConvSource>& sources) {
  std::vector<int> chunks;
  for (const ConvSource& source : sources) {
    chunks.insert(chunks.end(), static_cast<std::size_t>(source.taps), padded(source.inputs));
  }
  return chunks;
}

}  // namespace

float ConvSource::at(int output, int input, int tap) const {
  const std::size_t i =
      (static_cast<std::size_t>(output) * inputs + input) * taps + static_cast<std::size_t>(tap);
  return type == Weights::kF32 ? static_cast<const float*>(data)[i]
                               : kernels::bf16_to_float(static_cast<const kernels::Bf16*>(data)[i]);
}

// The weights themselves go to `panels`.
Status Conv::begin(Op op, Weights type, int outputs, int columns,
                   const kernels::KernelTable& kernels, Arena& panels, Arena& arena) {
  layer_ = {op, type, outputs, columns};
  const Result<const backends::Backend*> backend = backends::choose(layer_);
  if (!backend.ok()) return backend.status();
  if (kernels.conv_f32 == nullptr) {
    return Status(Code::kUnsupported, "this build has no kernels for convolutions");
  }
  kernels_ = &kernels;
  chosen_ = backend.value();
  outputs_ = outputs;
  const std::size_t rows = static_cast<std::size_t>(outputs);
  weights_ = panels.allocate<std::uint8_t>(rows * columns * element_size(type));
  bias_ = arena.allocate<float>(rows);
  scale_ = arena.allocate<float>(rows);
  row_sums_ = arena.allocate<std::int32_t>(rows);
  const int n = outputs / kVector;
  f32_ = {n, columns, static_cast<const float*>(weights_), nullptr};
  bf16_ = {n, columns, static_cast<const kernels::Bf16*>(weights_), nullptr};
  i8_ = {n, columns, static_cast<const std::int8_t*>(weights_), row_sums_};
  return {};
}

// What one tap of an output does with all inputs.
void Conv::put(const ConvSource& source, int output, int tap, int row, int column) {
  const std::size_t taps = static_cast<std::size_t>(source.taps);
  const std::size_t step = source.transposed ? taps * source.outputs : taps;
  const std::size_t first = source.transposed ? taps : taps * source.inputs;
  const auto copy = source.type == Weights::kF32    ? copy_weights<float>
                    : source.type == Weights::kBf16 ? copy_weights<kernels::Bf16>
                                                    : copy_weights<std::int8_t>;
  copy(source, first * output + tap, step, source.inputs, weights_, row, column, layer_.cols);
}

// Bias and, for int8, what stands for the inputs' zero: value = scale sum(q (u - zero)) + bias.
void Conv::finish(const ConvSource& source, int output, int row, int first_column, int columns) {
  bias_[row] += source.bias[output];
  if (source.type != Weights::kI8) return;
  const std::int8_t* weights = static_cast<const std::int8_t*>(weights_);
  const int channels = padded(source.inputs);
  const std::size_t step = source.zero_per_tap ? static_cast<std::size_t>(source.taps) : 1;
  int sum = 0;
  double zeros = 0.0;
  for (int tap = 0; tap < columns / channels; ++tap) {
    const float* zero = source.input_zero + (source.zero_per_tap ? tap : 0);
    const std::size_t from =
        packed_index(Weights::kI8, row, first_column + tap * channels, layer_.cols);
    for (std::size_t i = 0; i < static_cast<std::size_t>(source.inputs); ++i) {
      const int q = weights[from + i / 4 * kVector * 4 + i % 4];
      sum += q;
      zeros += static_cast<double>(q) * static_cast<double>(zero[i * step]);
    }
  }
  row_sums_[row] += sum;
  scale_[row] = source.scale[output];
  bias_[row] -= static_cast<float>(static_cast<double>(source.scale[output]) * zeros);
}

// Has a backend other than `native` make its plan. One that was chosen by cost and fails leaves the
// layer to the native kernels.
Status Conv::make_plan() {
  if (chosen_ == &backends::native()) return {};
  const std::size_t size = element_size(layer_.weights);
  std::vector<char> matrix(size * layer_.rows * layer_.cols);
  char* to = matrix.data();
  for (int row = 0; row < layer_.rows; ++row) {
    for (int column = 0; column < layer_.cols; ++column, to += size) {
      const std::size_t from = packed_index(layer_.weights, row, column, layer_.cols);
      std::memcpy(to, static_cast<const char*>(weights_) + from * size, size);
    }
  }
  auto plan = chosen_->plan({layer_.weights, layer_.rows, layer_.cols, matrix.data()}, *kernels_);
  if (plan.ok()) {
    plan_ = plan.value();
  } else if (backends::forced()) {
    return plan.status();
  } else {
    chosen_ = &backends::native();
  }
  return {};
}

// Panels that are no more than the way to cells live in `scratch`.
Arena& Conv::panels_arena(Weights type, const kernels::KernelTable& kernels, Arena& arena,
                          Arena& scratch) {
  return type == Weights::kI8 && kernels.cells ? scratch : arena;
}

void Conv::keep_cells(const std::vector<int>& chunks, Arena& arena) {
  if (layer_.weights != Weights::kI8 || !kernels_->cells) return;
  i8_.cells = pack_cells(i8_, chunks, arena);
  i8_.weights = nullptr;
  weights_ = nullptr;
}

template <typename Place>
Result<Conv> Conv::pack_rows(const std::vector<ConvSource>& sources, int rows,
                             const kernels::KernelTable& kernels, Arena& panels, Arena& arena,
                             const Place& place) {
  int columns = 0;
  for (const ConvSource& source : sources) columns += source.taps * padded(source.inputs);
  Conv conv;
  const Status begun =
      conv.begin(Op::kConv, sources[0].type, rows, columns, kernels, panels, arena);
  if (!begun.ok()) return begun;
  int first = 0;
  for (const ConvSource& source : sources) {
    const int channels = padded(source.inputs);
    for (int o = 0; o < source.outputs; ++o) {
      const int row = place(source, o);
      for (int tap = 0; tap < source.taps; ++tap) {
        conv.put(source, o, tap, row, first + tap * channels);
      }
      conv.finish(source, o, row, first, source.taps * channels);
    }
    first += source.taps * channels;
  }
  return conv;
}

Result<Conv> Conv::pack(const std::vector<ConvSource>& sources, const kernels::KernelTable& kernels,
                        Arena& arena) {
  Arena scratch;
  Arena& panels = panels_arena(sources[0].type, kernels, arena, scratch);
  Result<Conv> conv = pack_rows(sources, padded(sources[0].outputs), kernels, panels, arena,
                                [](const ConvSource&, int output) { return output; });
  if (!conv.ok()) return conv;
  const Status planned = conv.value().make_plan();
  if (!planned.ok()) return planned;
  conv.value().keep_cells(chunks_of(sources), arena);
  return conv;
}

Result<Conv> Conv::pack_gated(const std::vector<ConvSource>& sources,
                              const kernels::KernelTable& kernels, Arena& arena) {
  const int units = padded(sources[0].outputs / 2);
  Arena scratch;
  Arena& panels = panels_arena(sources[0].type, kernels, arena, scratch);
  Result<Conv> conv = pack_rows(
      sources, 2 * units, kernels, panels, arena, [](const ConvSource& source, int output) {
        const int half = source.outputs / 2, unit = output % half;
        return (2 * (unit / kVector) + output / half) * kVector + unit % kVector;
      });
  if (conv.ok()) {
    conv.value().keep_cells(chunks_of(sources), arena);
    conv.value().chosen_ = &backends::native();  // no other can gate
    conv.value().outputs_ = units;
  }
  return conv;
}

Result<Conv> Conv::pack_transposed(const ConvSource& source, int stride, bool narrow,
                                   const kernels::KernelTable& kernels, Arena& arena) {
  const int inputs = padded(source.inputs);
  const int outputs = narrow ? kNarrow : padded(source.outputs);
  const int neighbours = (source.taps + stride - 1) / stride;
  Arena scratch;
  Arena& panels = panels_arena(source.type, kernels, arena, scratch);
  Conv conv;
  const Status begun = conv.begin(Op::kConvTransposed, source.type, stride * outputs,
                                  neighbours * inputs, kernels, panels, arena);
  if (!begun.ok()) return begun;
  for (int j = 0; j < stride; ++j) {
    for (int o = 0; o < source.outputs; ++o) {
      const int row = j * outputs + o;
      for (int n = 0; n < neighbours; ++n) {
        const int tap = j + (neighbours - 1 - n) * stride;
        if (tap < source.taps) conv.put(source, o, tap, row, n * inputs);
      }
      conv.finish(source, o, row, 0, neighbours * inputs);
    }
  }
  const Status planned = conv.make_plan();
  if (!planned.ok()) return planned;
  conv.keep_cells(std::vector<int>(static_cast<std::size_t>(neighbours), inputs), arena);
  return conv;
}

// Panels are divided where there are few rows, so that every weight is still read for many rows.
Conv::Grid Conv::divide(int rows, const Team& team) const PYVOC_RT {
  constexpr int kLeastRows = 24, kLeastPanels = 2;
  const int pieces = team.pieces_of(std::int64_t{rows} * layer_.rows * layer_.cols);
  if (plan_ != nullptr) return {std::min(pieces, std::max(rows / kLeastRows, 1)), 1};
  if (rows >= pieces * kLeastRows) return {pieces, 1};
  return {1, std::min(pieces, std::max(outputs_ / kVector / kLeastPanels, 1))};
}

// Outputs for rows from `row` on, of the panels from `panel` on.
kernels::ConvOutput Conv::part(kernels::ConvOutput out, int row, int panel) const PYVOC_RT {
  const std::ptrdiff_t column = std::ptrdiff_t{kVector} * panel;
  out = kernels::advanced(out, row * out.stride + column);
  out.bias = bias_ + column;
  out.scale = scale_ + column;
  if (out.value_u8 != nullptr) {
    out.value_inverse += column;
    out.value_offset += column;
  }
  if (out.active_u8 != nullptr) {
    out.active_inverse += column;
    out.active_offset += column;
  }
  return out;
}

void Conv::compute(const kernels::ConvInput<float>& in, int rows, int panel, int panels,
                   const kernels::ConvOutput& out) const PYVOC_RT {
  // The promise is that of the native backend, which has no plan (docs/backends.md).
  PYVOC_RT_TRUST(
      if (plan_ != nullptr && out.add == nullptr && plan_->compute(in, rows, out)) { return; })
  if (layer_.weights == Weights::kF32) {
    kernels_->conv_f32(panels_of(f32_, panel, panels), in, rows, out);
  } else {
    kernels_->conv_bf16(panels_of(bf16_, panel, panels), in, rows, out);
  }
}

void Conv::compute(const kernels::ConvInput<std::uint8_t>& in, int rows, int panel, int panels,
                   const kernels::ConvOutput& out) const PYVOC_RT {
  // The promise is that of the native backend, which has no plan (docs/backends.md).
  PYVOC_RT_TRUST(
      if (plan_ != nullptr && out.add == nullptr && plan_->compute(in, rows, out)) { return; })
  kernels_->conv_i8(panels_of(i8_, panel, panels), in, rows, out);
}

template <typename X>
void Conv::run_gated(Team& team, const kernels::GatedRows<X>* jobs, int count) const PYVOC_RT {
  constexpr int kLeastGroups = 2;  // a group: the two panels that make kVector outputs
  const int groups = outputs_ / kVector;
  std::int64_t rows = 0;
  for (int i = 0; i < count; ++i) rows += jobs[i].rows;
  const int pieces = std::min(team.pieces_of(rows * layer_.rows * layer_.cols),
                              std::max(groups / kLeastGroups, 1));
  team.run(pieces, [&](int piece) {
    const Team::Range range = Team::Range::of(groups, piece, pieces);
    kernels::GatedRows<X> parts[kMostJobs];
    for (int i = 0; i < count; ++i) {
      kernels::GatedRows<X>& job = parts[i];
      job = jobs[i];
      job.out = part(job.out, 0, range.first);
      job.out.bias = bias_ + 2 * kVector * range.first;
      job.out.scale = scale_ + 2 * kVector * range.first;
      if (job.begin != nullptr) job.begin += 2 * kVector * range.first;
      if (job.leave != nullptr) job.leave += 2 * kVector * range.first;
    }
    const int panel = 2 * range.first, panels = 2 * range.count;
    if constexpr (std::is_same<X, std::uint8_t>::value) {
      kernels_->gated_conv_i8(panels_of(i8_, panel, panels), parts, count);
    } else if (layer_.weights == Weights::kF32) {
      kernels_->gated_conv_f32(panels_of(f32_, panel, panels), parts, count);
    } else {
      kernels_->gated_conv_bf16(panels_of(bf16_, panel, panels), parts, count);
    }
  });
}

template void Conv::run_gated(Team& team, const kernels::GatedRows<float>* jobs,
                              int count) const PYVOC_RT;
template void Conv::run_gated(Team& team, const kernels::GatedRows<std::uint8_t>* jobs,
                              int count) const PYVOC_RT;

}  // namespace pyvoc::nn
