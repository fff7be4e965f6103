#include "training/row_matrix.h"

#include <algorithm>

namespace pyvoc::training {
namespace {

constexpr int kLanes = 16;
constexpr int kPanels = 12;  // of inputs, in a piece of a gradient, at most
constexpr int kRows = 192;   // whose products are summed up at once: as many as stay in the cache
// A vector more than rows: neighbouring outputs fall into different cache sets.
constexpr int kStride = kRows + kLanes;

std::size_t product(int a, int b) { return static_cast<std::size_t>(a) * b; }

// Where parts begin; returns the padded sum.
int places(const RowMatrix::Parts& parts, std::vector<int>& at) {
  int sum = 0;
  for (int part : parts) {
    at.push_back(sum);
    sum += padded(part);
  }
  return sum;
}

// Calls f(padded place) for each column.
template <typename Call>
void for_columns(const RowMatrix::Parts& parts, const std::vector<int>& at, const Call& f) {
  for (std::size_t k = 0; k < parts.size(); ++k) {
    for (int i = 0; i < parts[k]; ++i) f(at[k] + i);
  }
}

}  // namespace

RowMatrix::RowMatrix(const float* weights, const Parts& outputs, const Parts& inputs, bool trained,
                     const kernels::KernelTable& table)
    : table_(table),
      input_parts_(inputs),
      output_parts_(outputs),
      inputs_(places(inputs, input_at_)),
      outputs_(places(outputs, output_at_)),
      forward_(product(inputs_, outputs_)),
      back_(trained ? product(inputs_, outputs_) : 0),
      zeros_(static_cast<std::size_t>(std::max(inputs_, outputs_))) {
  zeros_.zeroed();
  float* ahead = forward_.zeroed();
  float* back = back_.zeroed();
  const float* from = weights;
  for_columns(outputs, output_at_, [&](int o) {
    float* panel = ahead + product(o / kLanes * kLanes, inputs_) + o % kLanes;
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      float* to = panel + product(input_at_[k], kLanes);
      for (int i = 0; i < inputs[k]; ++i) to[product(i, kLanes)] = from[i];
      for (int i = 0; trained && i < inputs[k]; i += kLanes) {
        const int at = input_at_[k] + i;
        std::copy(from + i, from + std::min(i + kLanes, inputs[k]),
                  back + product(at, outputs_) + product(o, kLanes));
      }
      from += inputs[k];
    }
  });
}

void RowMatrix::multiply(const Workspace& weights, int outputs, const std::vector<Columns>& x,
                         int rows, const float* bias, bool add, float* y) const {
  kernels::ConvInput<float> in;
  kernels::Dense<float> w;
  for (const Columns& columns : x) {
    in.base[in.segments] = columns.base;
    in.stride[in.segments] = columns.stride;
    in.cols[in.segments++] = columns.count;
    w.cols += columns.count;
  }
  w.panels = outputs / kLanes;
  w.weights = weights.data();
  kernels::ConvOutput out;
  out.stride = outputs;
  out.bias = bias != nullptr ? bias : zeros_.data();
  out.value = y;
  out.add = add ? y : nullptr;
  table_.conv_f32(w, in, rows, out);
}

void RowMatrix::forward(const float* x, int rows, const float* bias, float* y) const {
  multiply(forward_, outputs_, {{x, inputs_, inputs_}}, rows, bias, false, y);
}

void RowMatrix::back(const std::vector<Columns>& d, int rows, float* d_x, bool add) const {
  multiply(back_, inputs_, d, rows, nullptr, add, d_x);
}

int RowMatrix::pieces() const { return (inputs_ / kLanes + kPanels - 1) / kPanels; }

void RowMatrix::gradient(int piece, const std::vector<Columns>& d, const float* x, int rows,
                         float* sums) const {
  const int all = inputs_ / kLanes, begins = all * piece / pieces();
  const int first = begins * kLanes, panels = all * (piece + 1) / pieces() - begins;
  Workspace packed(product(panels * kLanes, kRows)), across(product(outputs_, kStride));
  for (int begin = 0; begin < rows; begin += kRows) {
    const int count = std::min(kRows, rows - begin), whole = padded(count);
    float* to = packed.data();
    for (int p = 0; p < panels; ++p) {
      const float* from = x + product(begin, inputs_) + first + p * kLanes;
      for (int i = 0; i < count; ++i, from += inputs_, to += kLanes) {
        std::copy(from, from + kLanes, to);
      }
      std::fill(to, to + product(whole - count, kLanes), 0.0f);
      to += product(whole - count, kLanes);
    }
    int row = 0;
    for (const Columns& columns : d) {
      for (int c = 0; c < columns.count; c += kLanes, row += kLanes) {
        const float* tile = columns.base + begin * columns.stride + c;
        table_.transpose_tiles_f32(tile, columns.stride, kLanes * columns.stride,
                                   across.data() + product(row, kStride), kStride, kLanes,
                                   whole / kLanes);
      }
    }
    kernels::Dense<float> w;
    w.panels = panels;
    w.cols = whole;
    w.weights = packed.data();
    kernels::ConvInput<float> in;
    in.segments = 1;
    in.base[0] = across.data();
    in.stride[0] = kStride;
    in.cols[0] = whole;
    kernels::ConvOutput out;
    out.stride = inputs_;
    out.bias = zeros_.data();
    out.value = sums + first;
    out.add = begin > 0 ? sums + first : nullptr;
    table_.conv_f32(w, in, outputs_, out);
  }
}

void RowMatrix::unpack(const float* sums, float* gradient) const {
  for_columns(output_parts_, output_at_, [&](int o) {
    const float* row = sums + product(o, inputs_);
    for_columns(input_parts_, input_at_, [&](int i) { *gradient++ = row[i]; });
  });
}

}  // namespace pyvoc::training
