// A matrix in a loop that is trained: rows of a batch times it, their gradients back through it,
// and, once, its own gradient from all rows that it saw.
//
// Inputs and outputs of a row are parts side by side, each padded to a multiple of 16 by what is
// multiplied with zeros, so that what works on them works on whole vectors. A sum is one chain in
// the order of the inputs: how rows are grouped, and by how many threads, does not change it.
#ifndef PYVOC_TRAINING_ROW_MATRIX_H_
#define PYVOC_TRAINING_ROW_MATRIX_H_

#include <cstddef>
#include <vector>

#include "kernels/table.h"
#include "training/workspace.h"

namespace pyvoc::training {

constexpr int padded(int n) { return (n + 15) / 16 * 16; }

// Columns of some rows: row i has `count` at base + i * stride; count is a multiple of 16.
struct Columns {
  const float* base = nullptr;
  std::ptrdiff_t stride = 0;
  int count = 0;
};

class RowMatrix {
 public:
  using Parts = std::vector<int>;  // widths, of what lies side by side

  // weights [sum of outputs, sum of inputs].
  RowMatrix(const float* weights, const Parts& outputs, const Parts& inputs, bool trained,
            const kernels::KernelTable& table);

  int inputs() const { return inputs_; }    // of a row, padded
  int outputs() const { return outputs_; }  // the same
  int input_at(int part) const { return input_at_[static_cast<std::size_t>(part)]; }
  int input_width(int part) const { return input_parts_[static_cast<std::size_t>(part)]; }

  // y [rows, outputs] = bias + W x of x [rows, inputs]; bias [outputs], or nullptr.
  void forward(const float* x, int rows, const float* bias, float* y) const;
  // d_x [rows, inputs] = W^T d, or added to it; d's columns are the outputs, in order.
  void back(const std::vector<Columns>& d, int rows, float* d_x, bool add) const;

  // The gradient [sum of outputs, sum of inputs] is the sum over all rows of d x^T: pieces of it
  // that several threads may make, into sums [outputs, inputs], padded. Arrays have rows up to a
  // multiple of 16, which hold numbers.
  int pieces() const;
  void gradient(int piece, const std::vector<Columns>& d, const float* x, int rows,
                float* sums) const;
  void unpack(const float* sums, float* gradient) const;

 private:
  void multiply(const Workspace& weights, int outputs, const std::vector<Columns>& x, int rows,
                const float* bias, bool add, float* y) const;

  const kernels::KernelTable& table_;
  std::vector<int> input_at_, output_at_;  // where parts begin, padded
  Parts input_parts_, output_parts_;
  int inputs_, outputs_;
  Workspace forward_, back_;  // panels of 16 outputs [outputs / 16][inputs][16], and of 16 inputs
  Workspace zeros_;
};

}  // namespace pyvoc::training
#endif  // PYVOC_TRAINING_ROW_MATRIX_H_
