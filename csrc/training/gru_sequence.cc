#include "training/gru_sequence.h"

#include <algorithm>
#include <cstddef>

#include "training/parallel.h"

namespace pyvoc::training {
namespace {

// Numbers of a unit whose weight gradient is taken together: some steps of a group's rows.
constexpr int kTile = 256;
// A vector more than a tile: vectors of neighbouring units fall into different cache sets.
constexpr int kStride = kTile + 16;

std::size_t product(int a, int b) { return static_cast<std::size_t>(a) * b; }

}  // namespace

struct GruSequence::Group {
  Workspace weight, bias, diag, tables;
};

GruSequence::GruSequence(const GruShape& shape, const GruInputs& inputs,
                         const kernels::KernelTable& table)
    : shape_(shape),
      inputs_(inputs),
      lanes_(table.lanes),
      tile_(kTile / lanes_),
      weights_(inputs.weight, inputs.mask, shape.units),
      table_(table) {
  const int tiles = shape.steps / tile_ + 1;
  for (int g = 0; g < groups(); ++g) {
    states_.emplace_back(product(tiles, shape.units) * kStride);
    kept_.emplace_back(product(shape.steps, 4 * shape.units) * static_cast<std::size_t>(lanes_));
  }
}

int GruSequence::group_rows(int group) const {
  return std::min(lanes_, shape_.rows - group * lanes_);
}

float* GruSequence::state_at(int group, int step) const {
  const std::size_t tile = product(step / tile_, shape_.units) * kStride;
  return states_[static_cast<std::size_t>(group)].data() + tile + step % tile_ * lanes_;
}

float* GruSequence::kept_at(int group, int step) const {
  return kept_[static_cast<std::size_t>(group)].data() + product(step, 4 * shape_.units * lanes_);
}

int GruSequence::table_rows(int row, int step, const float* const* tables, const float** rows,
                            float* weights) const {
  int count = 0;
  for (int k = 0; k < kTables; ++k) {
    const float code = inputs_.codes[product(row * kTables + k, shape_.steps) + step];
    const int low = std::clamp(static_cast<int>(code), 0, shape_.levels - 1);
    const float part = std::clamp(code - static_cast<float>(low), 0.0f, 1.0f);
    const float* base = tables[k] + product(low, 3 * shape_.units);
    rows[count] = base;
    weights[count++] = 1.0f - part;
    if (part > 0.0f && low + 1 < shape_.levels) {
      rows[count] = base + 3 * shape_.units;
      weights[count++] = part;
    }
  }
  return count;
}

void GruSequence::walk(int group, float* out) const {
  const int units = shape_.units, gates = 3 * units, rows = group_rows(group);
  const int first = group * lanes_, frames = shape_.steps / shape_.hop;
  Workspace row_space(product(lanes_, gates)), frame(product(gates, lanes_));
  Workspace sample(product(gates, lanes_)), recurrent(product(gates, lanes_));
  float* by_row = row_space.zeroed();
  const auto to_lanes = [&](float* to) {  // by_row [lanes, gates] -> [gates][lanes]
    table_.lanes_from_rows_f32(by_row, gates, lanes_, gates, to, lanes_);
  };

  for (int b = 0; b < rows; ++b) {
    const float* from = inputs_.state + product(first + b, units);
    std::copy(from, from + units, by_row + b * units);
  }
  std::fill(by_row + rows * units, by_row + lanes_ * units, 0.0f);
  table_.lanes_from_rows_f32(by_row, units, lanes_, units, state_at(group, 0), kStride);
  std::fill(by_row, by_row + lanes_ * gates, 0.0f);

  kernels::LaneGru step;
  step.units = units;
  step.lanes = lanes_;
  step.frame = frame.data();
  step.sample = shape_.levels > 0 ? sample.data() : nullptr;
  step.product = recurrent.data();
  step.bias = inputs_.bias;
  step.diag = weights_.diag();
  step.state_stride = kStride;
  for (int t = 0; t < shape_.steps; ++t) {
    if (t % shape_.hop == 0) {
      for (int b = 0; b < rows; ++b) {
        const float* from = inputs_.gates + product((first + b) * frames + t / shape_.hop, gates);
        std::copy(from, from + gates, by_row + b * gates);
      }
      to_lanes(frame.data());
    }
    if (shape_.levels > 0) {
      for (int b = 0; b < rows; ++b) {
        const float* mixed[2 * kTables];
        float weights[2 * kTables];
        const int count = table_rows(first + b, t, inputs_.tables, mixed, weights);
        table_.mix_rows_f32(mixed, weights, count, by_row + b * gates, gates);
      }
      to_lanes(sample.data());
    }
    step.state = state_at(group, t);
    step.next = state_at(group, t + 1);
    step.kept = kept_at(group, t);
    table_.lane_product_f32(weights_.blocks(), lanes_, step.state, kStride, recurrent.data());
    table_.lane_gru_f32(step);
    float* to = out + product(first, shape_.steps) * units + product(t, units);
    const std::ptrdiff_t row_step = static_cast<std::ptrdiff_t>(product(shape_.steps, units));
    if (rows == lanes_) {
      table_.rows_from_lanes_f32(step.next, kStride, lanes_, units, to, row_step);
    } else {
      table_.rows_from_lanes_f32(step.next, kStride, lanes_, units, sample.data(), units);
      for (int b = 0; b < rows; ++b) {
        std::copy(sample.data() + b * units, sample.data() + (b + 1) * units, to + b * row_step);
      }
    }
  }
}

void GruSequence::walk_back(int group, const float* d_out, float* d_gates, Group& sums) const {
  const int units = shape_.units, gates = 3 * units, rows = group_rows(group);
  const int first = group * lanes_, frames = shape_.steps / shape_.hop;
  const std::size_t table_size = product(shape_.levels, gates);
  Workspace row_space(product(lanes_, gates)), d_frame(product(gates, lanes_));
  Workspace d_sample(product(gates, lanes_)), d_product(product(gates, kStride));
  Workspace d_state(product(units, lanes_)), d_lanes(product(units, lanes_));
  sums.weight = Workspace(weights_.weights());
  sums.bias = Workspace(product(gates, lanes_));
  sums.diag = Workspace(product(gates, lanes_));
  sums.tables = Workspace(kTables * table_size);
  sums.weight.zeroed(), sums.bias.zeroed(), sums.diag.zeroed(), sums.tables.zeroed();
  // The last tile may end within a vector.
  d_frame.zeroed(), d_state.zeroed(), d_product.zeroed();
  float* by_row = row_space.zeroed();
  float* d_tables[kTables];
  for (int k = 0; k < kTables; ++k) d_tables[k] = sums.tables.data() + k * table_size;

  kernels::LaneGruBack step;
  step.units = units;
  step.lanes = lanes_;
  step.diag = weights_.diag();
  step.state_stride = step.product_stride = kStride;
  step.d_out = d_lanes.data();
  step.d_state = d_state.data();
  step.d_sample = d_sample.data();
  step.d_frame = d_frame.data();
  step.d_bias = sums.bias.data();
  step.d_diag = sums.diag.data();
  for (int t = shape_.steps - 1; t >= 0; --t) {
    for (int b = 0; b < rows; ++b) {
      const float* from = d_out + (product(first + b, shape_.steps) + t) * units;
      std::copy(from, from + units, by_row + b * units);
    }
    std::fill(by_row + rows * units, by_row + lanes_ * units, 0.0f);
    table_.lanes_from_rows_f32(by_row, units, lanes_, units, d_lanes.data(), lanes_);
    step.kept = kept_at(group, t);
    step.state = state_at(group, t);
    step.d_product = d_product.data() + t % tile_ * lanes_;
    table_.lane_gru_back_f32(step);
    table_.lane_product_back_f32(weights_.blocks(), lanes_, step.d_product, kStride,
                                 d_state.data());
    if (shape_.levels > 0) {
      table_.rows_from_lanes_f32(d_sample.data(), lanes_, lanes_, gates, by_row, gates);
      for (int b = 0; b < rows; ++b) {
        const float* mixed[2 * kTables];
        float* spread[2 * kTables];
        float weights[2 * kTables];
        const int count = table_rows(first + b, t, d_tables, mixed, weights);
        for (int k = 0; k < count; ++k) spread[k] = const_cast<float*>(mixed[k]);
        table_.spread_row_f32(by_row + b * gates, weights, count, spread, gates);
      }
    }
    if (t % shape_.hop == 0) {
      table_.rows_from_lanes_f32(d_frame.data(), lanes_, lanes_, gates, by_row, gates);
      for (int b = 0; b < rows; ++b) {
        std::copy(by_row + b * gates, by_row + (b + 1) * gates,
                  d_gates + product((first + b) * frames + t / shape_.hop, gates));
      }
      d_frame.zeroed();
    }
    if (t % tile_ == 0) {
      const int vectors = (std::min(tile_, shape_.steps - t) * lanes_ + 15) / 16;
      table_.lane_outer_f32(weights_.blocks(), d_product.data(), kStride, state_at(group, t),
                            kStride, vectors, sums.weight.data());
    }
  }
}

void GruSequence::forward(float* out, int threads) {
  parallel(groups(), threads, [&](int g) { walk(g, out); });
}

void GruSequence::backward(const float* d_out, const GruGradients& gradients, int threads) {
  std::vector<Group> sums(static_cast<std::size_t>(groups()));
  parallel(groups(), threads,
           [&](int g) { walk_back(g, d_out, gradients.gates, sums[static_cast<std::size_t>(g)]); });
  const auto add_up = [&](Workspace Group::* member) {
    Workspace& total = sums[0].*member;
    for (std::size_t g = 1; g < sums.size(); ++g) {
      const float* other = (sums[g].*member).data();
      for (std::size_t i = 0; i < total.size(); ++i) total.data()[i] += other[i];
    }
    return total.data();
  };
  const int gates = 3 * shape_.units;
  const auto over_lanes = [&](const float* lanes, float* to) {
    for (int u = 0; u < gates; ++u) {
      to[u] = 0.0f;
      for (int lane = 0; lane < lanes_; ++lane) to[u] += lanes[u * lanes_ + lane];
    }
  };
  over_lanes(add_up(&Group::bias), gradients.bias);
  std::vector<float> diag(static_cast<std::size_t>(gates));
  over_lanes(add_up(&Group::diag), diag.data());
  weights_.unpack(add_up(&Group::weight), diag.data(), gradients.weight);
  if (shape_.levels > 0) {
    const float* tables = add_up(&Group::tables);
    const std::size_t size = product(shape_.levels, gates);
    for (int k = 0; k < kTables; ++k) {
      std::copy(tables + k * size, tables + (k + 1) * size, gradients.tables[k]);
    }
  }
}

}  // namespace pyvoc::training
