#include "training/fargan_walk.h"

#include <algorithm>
#include <cmath>

namespace pyvoc::training {
namespace {

std::size_t product(int a, int b) { return static_cast<std::size_t>(a) * b; }

}  // namespace

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

// y = gated(tanh(W x)) of what was read.
void FarganSequence::Walk::tanh_gated(int name, int gate, int step, float* y) {
  const Layer& layer = all_.layer(name);
  float* hidden = all_.y_at(layer, step, first_);
  layer.matrix.forward(all_.x_at(layer, step, first_), count_, nullptr, hidden);
  table_.tanh_f32(hidden, count_ * layer.width);
  gated(gate, step, hidden, layer.width, y);
}

// The subframe of a period ago, as far as a pitch gate lets it through.
const float* FarganSequence::Walk::period_ago(int gate, int step, int i) {
  const float* past = row(x_, x_width_, i) + cond_;
  const float open = all_.y_at(all_.layer(kPitch), step, first_ + i)[gate];
  float* scaled = row(scaled_, kSubframePadded, i);
  for (int j = 0; j < kSubframePadded; ++j) scaled[j] = open * past[kMiddle + j];
  return scaled;
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
  float* f = all_.x_at(pitch, step, first_);
  tanh_gated(kFwc, kFwcGate, step, f);
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
      read(name, step, i,
           {last + product(i, last_width), period_ago(k, step, i), past + kPredictionPadded});
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
  const Layer &pitch = all_.layer(kPitch), &out = all_.layer(kOut);
  for (int i = 0; i < count_; ++i) {
    const float* past = row(x_, x_width_, i) + cond_;
    read(kSkip, step, i,
         {row(last_[0], units_[0], i), row(last_[1], units_[1], i), row(last_[2], units_[2], i),
          all_.x_at(pitch, step, first_ + i), period_ago(Shape::kGrus, step, i),
          past + kPredictionPadded});
  }
  float* gathered = all_.x_at(out, step, first_);
  tanh_gated(kSkip, kSkipGate, step, gathered);
  float* y = all_.y_at(out, step, first_);
  out.matrix.forward(gathered, count_, nullptr, y);
  table_.tanh_f32(y, count_ * kSubframePadded);
  for (int i = 0; i < count_; ++i) {
    const float gain = in_.gains[product(first_ + i, shape_.steps) + step];
    float* to = all_.sample_at(step, first_ + i) + Shape::kHistory;
    for (int j = 0; j < Shape::kSubframe; ++j) to[j] = y[product(i, kSubframePadded) + j] * gain;
  }
}

}  // namespace pyvoc::training
