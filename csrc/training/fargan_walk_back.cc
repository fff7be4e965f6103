#include <algorithm>
#include <cmath>
#include <vector>

#include "training/fargan_walk.h"

namespace pyvoc::training {
namespace {

std::size_t product(int a, int b) { return static_cast<std::size_t>(a) * b; }

void add_to(float* to, const float* from, int n) {
  for (int i = 0; i < n; ++i) to[i] += from[i];
}

}  // namespace

// d_v += the gradient.
void FarganSequence::Walk::gated_back(int name, int step, const float* d, const float* v, int width,
                                      float* d_v) {
  const Layer& gate = all_.layer(name);
  table_.gate_back_f32(d, v, all_.y_at(gate, step, first_), count_ * width, d_v);
  gate.matrix.back(all_.gradient_of(name, step, first_), count_, d_v, true);
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

}  // namespace pyvoc::training
