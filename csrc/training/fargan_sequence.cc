#include "training/fargan_sequence.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <initializer_list>

#include "training/parallel.h"

namespace pyvoc::training {
namespace {

constexpr int kMostRows = 36;  // that are walked together: their numbers stay in the cache

using Shape = FarganShape;
constexpr int kPredictionPadded = padded(Shape::kPrediction);
constexpr int kSubframePadded = padded(Shape::kSubframe);
constexpr int kPastPadded = kPredictionPadded + kSubframePadded;
constexpr int kMiddle = (Shape::kPrediction - Shape::kSubframe) / 2;  // of what a period ago was
constexpr int kPitchGates = Shape::kGrus + 1;

std::size_t product(int a, int b) { return static_cast<std::size_t>(a) * b; }

int sum(const RowMatrix::Parts& parts) {
  int total = 0;
  for (int part : parts) total += part;
  return total;
}

void add_to(float* to, const float* from, int n) {
  for (int i = 0; i < n; ++i) to[i] += from[i];
}

}  // namespace

// Some rows and their numbers that are not kept; each array is [rows][padded parts].
class FarganSequence::Walk {
 public:
  Walk(FarganSequence& sequence, Rows rows);
  void forward(float* written);
  void backward(const float* d_written, const FarganGradients& gradients);

 private:
  struct Heard {
    float raw[Shape::kPast], past[kPastPadded];
  };

  float* row(const Workspace& array, int width, int i) { return array.data() + product(i, width); }
  void hear(int step, int i, Heard& heard) const;
  const float* noise(int row, std::int64_t position, int count);
  void read(int name, int step, int i, std::initializer_list<const float*> parts);
  void gated(int name, int step, const float* v, int width, float* y);
  void gated_back(int name, int step, const float* d, const float* v, int width, float* d_v);
  void network(int step);
  void own(int step);
  void own_back(int step, const FarganGradients& to);
  void network_back(int step, const FarganGradients& to);

  FarganSequence& all_;
  const Shape& shape_;
  const FarganInputs& in_;
  const kernels::KernelTable& table_;
  const int first_, count_;
  const int cond_, x_width_, fwc_, skip_;
  int units_[Shape::kGrus];
  Workspace noise_;  // of one part
  Workspace x_, before_, last_[Shape::kGrus], scaled_, sums_, more_sums_;
  // Of the backward pass: gradients.
  Workspace d_samples_, d_x_, d_before_, d_state_[Shape::kGrus], d_together_, d_input_, d_last_;
  Workspace d_fwc_, d_hidden_;
};

FarganSequence::Walk::Walk(FarganSequence& sequence, Rows rows)
    : all_(sequence),
      shape_(sequence.shape_),
      in_(sequence.inputs_),
      table_(sequence.table_),
      first_(rows.first),
      count_(rows.count),
      cond_(padded(shape_.cond)),
      x_width_(cond_ + kPastPadded),
      fwc_(padded(shape_.fwc)),
      skip_(padded(shape_.skip)),
      x_(product(count_, x_width_)),
      before_(product(count_, x_width_)),
      scaled_(product(count_, kSubframePadded)) {
  int widest = std::max({fwc_, skip_, kSubframePadded, shape_.cond});
  for (int k = 0; k < Shape::kGrus; ++k) {
    units_[k] = padded(shape_.units[k]);
    last_[k] = Workspace(product(count_, units_[k]));
    widest = std::max(widest, units_[k]);
  }
  noise_ = Workspace(static_cast<std::size_t>(padded(widest)));
  sums_ = Workspace(product(count_, 3 * widest));
  more_sums_ = Workspace(product(count_, 3 * widest));
  x_.zeroed(), before_.zeroed(), scaled_.zeroed();
}

void FarganSequence::Walk::hear(int step, int i, Heard& heard) const {
  const int row = first_ + i, frames = shape_.steps / Shape::kSubframes;
  const float* history = all_.sample_at(step, row);
  const std::int32_t* places =
      in_.places + product(row * frames + step / Shape::kSubframes, Shape::kPrediction);
  const float* last = history + Shape::kHistory - Shape::kSubframe;
  const float scale = in_.scales[product(row, shape_.steps) + step];
  const auto limited = [&](float x) { return std::min(std::max(x * scale, -1.0f), 1.0f); };
  for (int j = 0; j < Shape::kPrediction; ++j) heard.raw[j] = history[places[j]];
  std::copy(last, last + Shape::kSubframe, heard.raw + Shape::kPrediction);
  std::fill(heard.past, heard.past + kPastPadded, 0.0f);
  for (int j = 0; j < Shape::kPrediction; ++j) heard.past[j] = limited(heard.raw[j]);
  for (int j = 0; j < Shape::kSubframe; ++j) {
    heard.past[kPredictionPadded + j] = limited(heard.raw[Shape::kPrediction + j]);
  }
}

const float* FarganSequence::Walk::noise(int row, std::int64_t position, int count) {
  const float* made = in_.noise + product(row, in_.period);
  const int at = static_cast<int>((in_.noise_at + position) % in_.period);
  if (at + padded(count) <= in_.period) return made + at;
  for (int i = 0; i < padded(count); ++i) noise_.data()[i] = made[(at + i) % in_.period];
  return noise_.data();
}

// Puts what a matrix multiplies together.
void FarganSequence::Walk::read(int name, int step, int i,
                                std::initializer_list<const float*> parts) {
  const Layer& layer = all_.layer(name);
  float* to = all_.x_at(layer, step, first_ + i);
  std::int64_t position = std::int64_t{step} * all_.drawn_ + layer.noise_at;
  int part = 0;
  for (const float* from : parts) {
    const int width = layer.matrix.input_width(part), whole = padded(width);
    if (in_.noise != nullptr && layer.noise_at >= 0) {
      table_.nearly_f32(from, noise(first_ + i, position, width), whole, to);
    } else {
      std::copy(from, from + whole, to);
    }
    position += width;
    to += whole;
    ++part;
  }
}

// y = v s(G v), v [rows][width].
void FarganSequence::Walk::gated(int name, int step, const float* v, int width, float* y) {
  const Layer& gate = all_.layer(name);
  for (int i = 0; i < count_; ++i) read(name, step, i, {v + product(i, width)});
  float* sums = all_.y_at(gate, step, first_);
  gate.matrix.forward(all_.x_at(gate, step, first_), count_, nullptr, sums);
  table_.gate_keep_f32(v, sums, count_ * width, y);
}

// d_v += the gradient.
void FarganSequence::Walk::gated_back(int name, int step, const float* d, const float* v, int width,
                                      float* d_v) {
  const Layer& gate = all_.layer(name);
  table_.gate_back_f32(d, v, all_.y_at(gate, step, first_), count_ * width, d_v);
  gate.matrix.back(all_.gradient_of(name, step, first_), count_, d_v, true);
}

void FarganSequence::Walk::forward(float* written) {
  const int samples = Shape::kSubframe * shape_.steps;
  for (int i = 0; i < count_; ++i) {
    const float* from = in_.history + product(first_ + i, Shape::kHistory);
    std::copy(from, from + Shape::kHistory, all_.sample_at(0, first_ + i));
  }
  for (int t = 0; t < shape_.steps; ++t) {
    network(t);
    if (t >= shape_.given) {
      own(t);
      continue;
    }
    for (int i = 0; i < count_; ++i) {
      const float* from =
          in_.forced + product(first_ + i, Shape::kSubframe * shape_.given) + t * Shape::kSubframe;
      std::copy(from, from + Shape::kSubframe, all_.sample_at(t, first_ + i) + Shape::kHistory);
    }
  }
  for (int i = 0; i < count_; ++i) {
    const float* from = all_.sample_at(0, first_ + i) + Shape::kHistory;
    std::copy(from, from + samples, written + product(first_ + i, samples));
  }
}

// All that has a state, up to what the GRUs say.
void FarganSequence::Walk::network(int step) {
  const Layer& fwc = all_.layer(kFwc);
  const Layer& pitch = all_.layer(kPitch);
  std::swap(x_, before_);
  for (int i = 0; i < count_; ++i) {
    Heard heard;
    hear(step, i, heard);
    const float* cond = in_.cond + product((first_ + i) * shape_.steps + step, shape_.cond);
    float *x = row(x_, x_width_, i), *before = row(before_, x_width_, i);
    std::copy(cond, cond + shape_.cond, x);
    std::copy(heard.past, heard.past + kPastPadded, x + cond_);
    read(kFwc, step, i,
         {before, before + cond_, before + cond_ + kPredictionPadded, x, x + cond_,
          x + cond_ + kPredictionPadded});
  }
  float* hidden = all_.y_at(fwc, step, first_);
  fwc.matrix.forward(all_.x_at(fwc, step, first_), count_, nullptr, hidden);
  table_.tanh_f32(hidden, count_ * fwc_);
  float* f = all_.x_at(pitch, step, first_);
  gated(kFwcGate, step, hidden, fwc_, f);
  float* gates = all_.y_at(pitch, step, first_);
  pitch.matrix.forward(f, count_, in_.bias, gates);
  for (int i = 0; i < count_; ++i) {
    for (int k = 0; k < kPitchGates; ++k) {
      float& gate = gates[product(i, pitch.width) + k];
      gate = 1.0f / (1.0f + std::exp(-gate));
    }
  }
  for (int k = 0; k < Shape::kGrus; ++k) {
    const int name = kGru + 3 * k, units = units_[k];
    const Layer &inputs = all_.layer(name), &recurrent = all_.layer(name + 1);
    const float* state =
        step == 0 ? all_.zeros_.data() : all_.at(all_.states_[k], units, step - 1, first_);
    const int last_width = k == 0 ? fwc_ : units_[k - 1];
    const float* last = k == 0 ? f : last_[k - 1].data();
    for (int i = 0; i < count_; ++i) {
      const float* past = row(x_, x_width_, i) + cond_;
      float* scaled = row(scaled_, kSubframePadded, i);
      const float gate = gates[product(i, pitch.width) + k];
      for (int j = 0; j < kSubframePadded; ++j) scaled[j] = gate * past[kMiddle + j];
      read(name, step, i, {last + product(i, last_width), scaled, past + kPredictionPadded});
      read(name + 1, step, i, {state + product(i, units)});
    }
    inputs.matrix.forward(all_.x_at(inputs, step, first_), count_, nullptr, sums_.data());
    recurrent.matrix.forward(all_.x_at(recurrent, step, first_), count_, nullptr,
                             more_sums_.data());
    kernels::RowGru gru;
    gru.units = units;
    gru.rows = count_;
    gru.input = sums_.data();
    gru.recurrent = more_sums_.data();
    gru.state = state;
    gru.next = all_.at(all_.states_[k], units, step, first_);
    gru.kept = all_.y_at(inputs, step, first_);
    table_.row_gru_f32(gru);
    gated(name + 2, step, gru.next, units, last_[k].data());
  }
}

// The network's own subframe.
void FarganSequence::Walk::own(int step) {
  const Layer &pitch = all_.layer(kPitch), &skip = all_.layer(kSkip), &out = all_.layer(kOut);
  for (int i = 0; i < count_; ++i) {
    const float* past = row(x_, x_width_, i) + cond_;
    float* scaled = row(scaled_, kSubframePadded, i);
    const float gate = all_.y_at(pitch, step, first_ + i)[Shape::kGrus];
    for (int j = 0; j < kSubframePadded; ++j) scaled[j] = gate * past[kMiddle + j];
    read(kSkip, step, i,
         {row(last_[0], units_[0], i), row(last_[1], units_[1], i), row(last_[2], units_[2], i),
          all_.x_at(pitch, step, first_ + i), scaled, past + kPredictionPadded});
  }
  float* hidden = all_.y_at(skip, step, first_);
  skip.matrix.forward(all_.x_at(skip, step, first_), count_, nullptr, hidden);
  table_.tanh_f32(hidden, count_ * skip_);
  float* gathered = all_.x_at(out, step, first_);
  gated(kSkipGate, step, hidden, skip_, gathered);
  float* y = all_.y_at(out, step, first_);
  out.matrix.forward(gathered, count_, nullptr, y);
  table_.tanh_f32(y, count_ * kSubframePadded);
  for (int i = 0; i < count_; ++i) {
    const float gain = in_.gains[product(first_ + i, shape_.steps) + step];
    float* to = all_.sample_at(step, first_ + i) + Shape::kHistory;
    for (int j = 0; j < Shape::kSubframe; ++j) to[j] = y[product(i, kSubframePadded) + j] * gain;
  }
}

void FarganSequence::Walk::backward(const float* d_written, const FarganGradients& gradients) {
  const int samples = Shape::kSubframe * shape_.steps, width = Shape::kHistory + samples;
  const Layer &skip = all_.layer(kSkip), &fwc = all_.layer(kFwc);
  d_samples_ = Workspace(product(count_, width));
  for (int i = 0; i < count_; ++i) {
    float* to = row(d_samples_, width, i);
    const float* from = d_written + product(first_ + i, samples);
    std::fill(to, to + Shape::kHistory, 0.0f);
    std::copy(from, from + samples, to + Shape::kHistory);
  }
  d_x_ = Workspace(product(count_, fwc.matrix.inputs()));
  d_before_ = Workspace(product(count_, x_width_));
  d_before_.zeroed();
  d_together_ = Workspace(product(count_, skip.matrix.inputs()));
  d_fwc_ = Workspace(product(count_, fwc_));
  d_hidden_ = Workspace(product(count_, std::max(fwc_, skip_)));
  int widest = 0, units = 0;
  for (int k = 0; k < Shape::kGrus; ++k) {
    widest = std::max(widest, all_.layer(kGru + 3 * k).matrix.inputs());
    units = std::max(units, units_[k]);
    d_state_[k] = Workspace(product(count_, units_[k]));
    d_state_[k].zeroed();
  }
  d_input_ = Workspace(product(count_, widest));
  d_last_ = Workspace(product(count_, units));
  for (int t = shape_.steps - 1; t >= 0; --t) {
    if (t >= shape_.given) {
      own_back(t, gradients);
    } else {
      d_together_.zeroed();
      for (int i = 0; i < count_; ++i) {
        gradients.gains[product(first_ + i, shape_.steps) + t] = 0.0f;
      }
    }
    network_back(t, gradients);
  }
}

// From the gradient of a subframe to that of what the skip layer gathers.
void FarganSequence::Walk::own_back(int step, const FarganGradients& to) {
  const Layer &skip = all_.layer(kSkip), &out = all_.layer(kOut);
  const int width = Shape::kHistory + Shape::kSubframe * shape_.steps;
  float* d_y = sums_.data();
  std::fill(d_y, d_y + product(count_, kSubframePadded), 0.0f);
  float* y = all_.y_at(out, step, first_);
  for (int i = 0; i < count_; ++i) {
    const std::size_t here = product(first_ + i, shape_.steps) + static_cast<std::size_t>(step);
    const float* d = row(d_samples_, width, i) + Shape::kHistory + step * Shape::kSubframe;
    float d_gain = 0.0f;
    for (int j = 0; j < Shape::kSubframe; ++j) {
      d_gain += d[j] * y[product(i, kSubframePadded) + j];
      d_y[product(i, kSubframePadded) + j] = d[j] * in_.gains[here];
    }
    to.gains[here] = d_gain;
  }
  table_.tanh_back_f32(d_y, y, count_ * kSubframePadded);
  out.matrix.back(all_.gradient_of(kOut, step, first_), count_, sums_.data(), false);
  float* hidden = all_.y_at(skip, step, first_);
  std::fill(d_hidden_.data(), d_hidden_.data() + product(count_, skip_), 0.0f);
  gated_back(kSkipGate, step, sums_.data(), hidden, skip_, d_hidden_.data());
  table_.tanh_back_f32(d_hidden_.data(), hidden, count_ * skip_);
  skip.matrix.back(all_.gradient_of(kSkip, step, first_), count_, d_together_.data(), false);
}

// From there to that of the conditioning, of samples before, and of the states before.
void FarganSequence::Walk::network_back(int step, const FarganGradients& to) {
  const Layer &fwc = all_.layer(kFwc), &pitch = all_.layer(kPitch), &skip = all_.layer(kSkip);
  float* gates = all_.y_at(pitch, step, first_);
  // Gradients of the pitch gates and of the past, from all who hear it.
  std::vector<Heard> heard(static_cast<std::size_t>(count_));
  std::vector<float> d_gates(product(count_, kPitchGates)), d_past(product(count_, kPastPadded));
  const auto hears = [&](int k, int i, const float* d_scaled) {
    const float* past = heard[static_cast<std::size_t>(i)].past;
    const float gate = gates[product(i, pitch.width) + k];
    float* d = d_past.data() + product(i, kPastPadded);
    float d_gate = 0.0f;
    for (int j = 0; j < Shape::kSubframe; ++j) {
      d_gate += d_scaled[j] * past[kMiddle + j];
      d[kMiddle + j] += d_scaled[j] * gate;
    }
    d_gates[product(i, kPitchGates) + k] = d_gate;
    add_to(d + kPredictionPadded, d_scaled + kSubframePadded, Shape::kSubframe);
  };
  const int together = skip.matrix.inputs();
  for (int i = 0; i < count_; ++i) {
    hear(step, i, heard[static_cast<std::size_t>(i)]);
    const float* d = row(d_together_, together, i);
    hears(Shape::kGrus, i, d + skip.matrix.input_at(Shape::kGrus + 1));
    const float* d_f = d + skip.matrix.input_at(Shape::kGrus);
    std::copy(d_f, d_f + fwc_, row(d_fwc_, fwc_, i));
  }
  for (int k = Shape::kGrus - 1; k >= 0; --k) {
    const int name = kGru + 3 * k, units = units_[k];
    const Layer &inputs = all_.layer(name), &recurrent = all_.layer(name + 1);
    for (int i = 0; i < count_; ++i) {
      const float* d = row(d_together_, together, i) + skip.matrix.input_at(k);
      float* d_last = row(d_last_, units, i);
      std::copy(d, d + units, d_last);
      if (k + 1 < Shape::kGrus) {
        const int width = all_.layer(name + 3).matrix.inputs();
        add_to(d_last, row(d_input_, width, i), units);
      }
    }
    float* d_state = d_state_[k].data();
    gated_back(name + 2, step, d_last_.data(), all_.at(all_.states_[k], units, step, first_), units,
               d_state);
    kernels::RowGruBack gru;
    gru.units = units;
    gru.rows = count_;
    gru.state = step == 0 ? all_.zeros_.data() : all_.at(all_.states_[k], units, step - 1, first_);
    gru.kept = all_.y_at(inputs, step, first_);
    gru.d_state = d_state;
    table_.row_gru_back_f32(gru);
    inputs.matrix.back(all_.gradient_of(name, step, first_), count_, d_input_.data(), false);
    recurrent.matrix.back(all_.gradient_of(name + 1, step, first_), count_, d_state, true);
    for (int i = 0; i < count_; ++i) {
      const float* d = row(d_input_, inputs.matrix.inputs(), i);
      if (k == 0) add_to(row(d_fwc_, fwc_, i), d, fwc_);
      hears(k, i, d + inputs.matrix.input_at(1));
    }
  }
  for (int i = 0; i < count_; ++i) {
    for (int k = 0; k < kPitchGates; ++k) {
      float& gate = gates[product(i, pitch.width) + k];
      gate = d_gates[product(i, kPitchGates) + k] * gate * (1.0f - gate);
    }
  }
  pitch.matrix.back(all_.gradient_of(kPitch, step, first_), count_, d_fwc_.data(), true);
  float* hidden = all_.y_at(fwc, step, first_);
  std::fill(d_hidden_.data(), d_hidden_.data() + product(count_, fwc_), 0.0f);
  gated_back(kFwcGate, step, d_fwc_.data(), hidden, fwc_, d_hidden_.data());
  table_.tanh_back_f32(d_hidden_.data(), hidden, count_ * fwc_);
  fwc.matrix.back(all_.gradient_of(kFwc, step, first_), count_, d_x_.data(), false);
  const int width = Shape::kHistory + Shape::kSubframe * shape_.steps;
  const int frames = shape_.steps / Shape::kSubframes;
  for (int i = 0; i < count_; ++i) {
    const std::size_t here = product(first_ + i, shape_.steps) + static_cast<std::size_t>(step);
    float *d = row(d_x_, 2 * x_width_, i), *d_now = d + x_width_;
    add_to(d_now, row(d_before_, x_width_, i), x_width_);
    std::copy(d, d + x_width_, row(d_before_, x_width_, i));
    std::copy(d_now, d_now + shape_.cond, to.cond + here * static_cast<std::size_t>(shape_.cond));
    add_to(d_now + cond_, d_past.data() + product(i, kPastPadded), kPastPadded);
    const Heard& h = heard[static_cast<std::size_t>(i)];
    const float scale = in_.scales[here];
    const std::int32_t* places =
        in_.places + product((first_ + i) * frames + step / Shape::kSubframes, Shape::kPrediction);
    float* d_history = row(d_samples_, width, i) + step * Shape::kSubframe;
    float d_scale = 0.0f;
    for (int j = 0; j < Shape::kPast; ++j) {
      const bool predicted = j < Shape::kPrediction;
      if (std::fabs(h.raw[j] * scale) > 1.0f) continue;
      const int padding = predicted ? 0 : kPredictionPadded - Shape::kPrediction;
      const float slope = d_now[cond_ + j + padding];
      const int place = predicted ? places[j] : Shape::kHistory - Shape::kPast + j;
      d_scale += slope * h.raw[j];
      d_history[place] += slope * scale;
    }
    to.scales[here] = d_scale;
  }
}

FarganSequence::FarganSequence(const FarganShape& shape, const FarganInputs& inputs,
                               const kernels::KernelTable& table)
    : shape_(shape),
      inputs_(inputs),
      table_(table),
      slots_(shape.kept ? shape.steps : std::min(shape.steps, 2)),
      samples_(product(shape.rows, Shape::kHistory + Shape::kSubframe * shape.steps)) {
  const int pred = Shape::kPrediction, sub = Shape::kSubframe;
  const int *units = shape.units, fwc = shape.fwc, cond = shape.cond, skip = shape.skip;
  add_layer(kFwc, {fwc}, {cond, pred, sub, cond, pred, sub}, padded(fwc), true);
  add_layer(kFwcGate, {fwc}, {fwc}, padded(fwc), true);
  add_layer(kPitch, {kPitchGates}, {fwc}, padded(kPitchGates), false);
  int widest = 0;
  for (int k = 0; k < Shape::kGrus; ++k) {
    const auto name = static_cast<FarganMatrix>(kGru + 3 * k);
    const int n = units[k], last = k == 0 ? fwc : units[k - 1];
    add_layer(name, {n, n, n}, {last, sub, sub}, 4 * padded(n), true);
    add_layer(static_cast<FarganMatrix>(name + 1), {n, n, n}, {n}, 0, true);
    add_layer(static_cast<FarganMatrix>(name + 2), {n}, {n}, padded(n), true);
    states_[k] = Workspace(product(slots_ * shape.rows, padded(n)));
    widest = std::max(widest, padded(n));
  }
  add_layer(kSkip, {skip}, {units[0], units[1], units[2], fwc, sub, sub}, padded(skip), true);
  add_layer(kSkipGate, {skip}, {skip}, padded(skip), true);
  add_layer(kOut, {sub}, {skip}, padded(sub), false);
  zeros_ = Workspace(product(shape.rows, widest));
  zeros_.zeroed();
}

void FarganSequence::add_layer(FarganMatrix name, const RowMatrix::Parts& outputs,
                               const RowMatrix::Parts& inputs, int width, bool noisy) {
  const int first = name >= kSkip && shape_.kept ? shape_.given : 0;
  Layer layer{RowMatrix(inputs_.matrices[name], outputs, inputs, shape_.kept, table_),
              width,
              first,
              noisy ? drawn_ : -1,
              {},
              {}};
  if (noisy) drawn_ += sum(inputs);
  // Rows up to a multiple of 16, which the gradient reads: zeros.
  const int rows = padded((slots_ - first) * shape_.rows),
            more = rows - (slots_ - first) * shape_.rows;
  const auto array = [&](int n) {
    Workspace made(product(rows, n));
    std::fill(made.data() + made.size() - product(more, n), made.data() + made.size(), 0.0f);
    return made;
  };
  layer.x = array(layer.matrix.inputs());
  layer.y = array(width);
  layers_.push_back(std::move(layer));
}

int FarganSequence::pieces(int threads) const {
  threads = std::max(threads, 1);  // as `parallel` takes it
  const int least = (shape_.rows + kMostRows - 1) / kMostRows;
  return std::min(shape_.rows, (least + threads - 1) / threads * threads);
}

FarganSequence::Rows FarganSequence::rows_of(int piece, int pieces) const {
  const int first = static_cast<int>(std::int64_t{shape_.rows} * piece / pieces);
  const int end = static_cast<int>(std::int64_t{shape_.rows} * (piece + 1) / pieces);
  return {first, end - first};
}

float* FarganSequence::at(const Workspace& array, int width, int step, int row) const {
  return array.data() + product((step % slots_) * shape_.rows + row, width);
}

float* FarganSequence::x_at(const Layer& layer, int step, int row) const {
  return at(layer.x, layer.matrix.inputs(), step - layer.first, row);
}

float* FarganSequence::y_at(const Layer& layer, int step, int row) const {
  return at(layer.y, layer.width, step - layer.first, row);
}

float* FarganSequence::sample_at(int step, int row) const {
  const int width = Shape::kHistory + Shape::kSubframe * shape_.steps;
  return samples_.data() + product(row, width) + step * Shape::kSubframe;
}

// The columns that hold the gradient of a matrix's sums, in the order of its outputs.
std::vector<Columns> FarganSequence::gradient_of(int name, int step, int row) {
  const bool recurrent = name > kGru && name < kSkip && (name - kGru) % 3 == 1;
  const Layer& own = layer(recurrent ? name - 1 : name);
  const float* y = y_at(own, step, row);
  if (recurrent) {  // r, z and (U h)_n
    const int units = own.width / 4;
    return {{y + units, own.width, 2 * units}, {y, own.width, units}};
  }
  const bool gru = name >= kGru && name < kSkip && (name - kGru) % 3 == 0;
  const int skipped = gru ? own.width / 4 : 0;  // r, z and (W x)_n
  return {{y + skipped, own.width, own.width - skipped}};
}

void FarganSequence::forward(float* written, int threads) {
  const int count = pieces(threads);
  parallel(count, threads, [&](int k) { Walk(*this, rows_of(k, count)).forward(written); });
}

void FarganSequence::backward(const float* d_written, const FarganGradients& gradients,
                              int threads) {
  const int count = pieces(threads);
  parallel(count, threads,
           [&](int k) { Walk(*this, rows_of(k, count)).backward(d_written, gradients); });
  weight_gradients(gradients, threads);
}

void FarganSequence::weight_gradients(const FarganGradients& gradients, int threads) {
  struct Piece {
    int name, piece;
  };
  std::vector<Piece> todo;
  std::vector<Workspace> sums;
  for (int name = 0; name < Shape::kMatrices; ++name) {
    const RowMatrix& matrix = layer(name).matrix;
    sums.emplace_back(product(matrix.inputs(), matrix.outputs()));
    if (shape_.steps == layer(name).first) sums.back().zeroed();
    for (int k = 0; k < matrix.pieces(); ++k) todo.push_back({name, k});
  }
  parallel(static_cast<int>(todo.size()), threads, [&](int k) {
    const auto [name, piece] = todo[static_cast<std::size_t>(k)];
    const Layer& of = layer(name);
    of.matrix.gradient(piece, gradient_of(name, of.first, 0), of.x.data(),
                       (shape_.steps - of.first) * shape_.rows,
                       sums[static_cast<std::size_t>(name)].data());
  });
  for (int name = 0; name < Shape::kMatrices; ++name) {
    layer(name).matrix.unpack(sums[static_cast<std::size_t>(name)].data(),
                              gradients.matrices[name]);
  }
  const Layer& pitch = layer(kPitch);
  double bias[kPitchGates] = {};
  for (int i = 0; i < shape_.steps * shape_.rows; ++i) {
    for (int k = 0; k < kPitchGates; ++k) {
      bias[k] += static_cast<double>(pitch.y.data()[product(i, pitch.width) + k]);
    }
  }
  for (int k = 0; k < kPitchGates; ++k) gradients.bias[k] = static_cast<float>(bias[k]);
}

}  // namespace pyvoc::training
