// The two ways through FARGAN's loop of some rows: fargan_walk.cc forward, fargan_walk_back.cc
// back.
#ifndef PYVOC_TRAINING_FARGAN_WALK_H_
#define PYVOC_TRAINING_FARGAN_WALK_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "training/fargan_sequence.h"

namespace pyvoc::training {

// Some rows and their numbers that are not kept; each array is [rows][padded parts].
class FarganSequence::Walk {
 public:
  Walk(FarganSequence& sequence, Rows rows);
  void forward(float* written);
  void backward(const float* d_written, const FarganGradients& gradients);

 private:
  using Shape = FarganShape;
  static constexpr int kPredictionPadded = padded(Shape::kPrediction);
  static constexpr int kSubframePadded = padded(Shape::kSubframe);
  static constexpr int kPastPadded = kPredictionPadded + kSubframePadded;
  static constexpr int kPitchGates = Shape::kGrus + 1;
  // Where a subframe begins in what a period ago was.
  static constexpr int kMiddle = (Shape::kPrediction - Shape::kSubframe) / 2;

  struct Heard {
    float raw[Shape::kPast], past[kPastPadded];
  };

  float* row(const Workspace& array, int width, int i) const {
    return array.data() + static_cast<std::size_t>(i) * width;
  }
  void hear(int step, int i, Heard& heard) const;
  const float* noise(int row, std::int64_t position, int count);
  void read(int name, int step, int i, std::initializer_list<const float*> parts);
  void gated(int name, int step, const float* v, int width, float* y);
  void gated_back(int name, int step, const float* d, const float* v, int width, float* d_v);
  void tanh_gated(int name, int gate, int step, float* y);
  const float* period_ago(int gate, int step, int i);
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

}  // namespace pyvoc::training
#endif  // PYVOC_TRAINING_FARGAN_WALK_H_
