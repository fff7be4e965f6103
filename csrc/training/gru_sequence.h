// A GRU over whole sequences with its backward pass, for training on a CPU ("reset after", gates
// r, z, n):
//   x(t) = gates(frame of t) + rows of the tables at the codes of t
//   m = U h + b; r = s(x_r + m_r); z = s(x_z + m_z); n = tanh(x_n + r m_n); h = n + z (h - n)
//
// A table row at a fractional code is interpolated. The batch is cut in groups of 16 rows, each
// walked through time by one thread, without barriers; sums over groups are taken in order, so
// results do not depend on the number of threads. Arrays are C-contiguous float32.
#ifndef PYVOC_TRAINING_GRU_SEQUENCE_H_
#define PYVOC_TRAINING_GRU_SEQUENCE_H_

#include <cstdint>
#include <vector>

#include "kernels/table.h"
#include "training/recurrent_weights.h"
#include "training/workspace.h"

namespace pyvoc::training {

constexpr int kTables = 3;

struct GruShape {
  int rows = 0;    // of the batch
  int steps = 0;   // multiple of hop
  int hop = 1;     // steps per frame of gates
  int units = 0;   // multiple of 16
  int levels = 0;  // table rows; 0: no tables
};

struct GruInputs {
  const float* gates = nullptr;        // [rows, steps / hop, 3 * units], input biases included
  const float* tables[kTables] = {};   // [levels, 3 * units]
  const float* codes = nullptr;        // [rows, 3, steps], 0 .. levels - 1
  const float* weight = nullptr;       // [3 * units, units]
  const std::uint8_t* mask = nullptr;  // [3 * units / 8, units / 4] or nullptr
  const float* bias = nullptr;         // [3 * units], recurrent
  const float* state = nullptr;        // [rows, units]
};

struct GruGradients {
  float* gates = nullptr;  // as the inputs
  float* tables[kTables] = {};
  float* weight = nullptr;
  float* bias = nullptr;
};

// One forward pass, kept for its backward pass. Not thread-safe; codes must outlive it.
class GruSequence {
 public:
  GruSequence(const GruShape& shape, const GruInputs& inputs, const kernels::KernelTable& table);

  // out [rows, steps, units]; its last step is the state to go on from.
  void forward(float* out, int threads);
  // From the gradient of out. Once, after forward.
  void backward(const float* d_out, const GruGradients& gradients, int threads);

 private:
  struct Group;  // what one group of rows adds to the gradients
  int groups() const { return (shape_.rows + lanes_ - 1) / lanes_; }
  int group_rows(int group) const;
  float* state_at(int group, int step) const;  // h before `step`, unit stride kStateStride
  float* kept_at(int group, int step) const;
  int table_rows(int row, int step, const float* const* tables, const float** rows,
                 float* weights) const;
  void walk(int group, float* out) const;
  void walk_back(int group, const float* d_out, float* d_gates, Group& sums) const;

  GruShape shape_;
  GruInputs inputs_;
  int lanes_;  // rows of a group
  int tile_;   // steps whose weight gradient is taken together
  RecurrentWeights weights_;
  const kernels::KernelTable& table_;
  std::vector<Workspace> states_, kept_;  // by group
};

}  // namespace pyvoc::training
#endif  // PYVOC_TRAINING_GRU_SEQUENCE_H_
