// FARGAN's loop over subframes with its backward pass, for training on a CPU: what
// pyvoc/families/fargan/torch_model.py calls `write`, of which this is the same function.
//
//   past = clamp(scale * (a period ago, the subframe before)), x = (cond, past)
//   f = gated(tanh(W (x before, x))), p = s(P f + b)
//   h_k = GRU_k((o_{k-1}, p_k * a period ago, subframe before), h_k), o_k = gated(h_k), o_0 = f
//   y = gain * tanh(O gated(tanh(S (o_1, o_2, o_3, f, p_4 * a period ago, subframe before))))
//   gated(v) = v * s(G v)
//
// W reads two samples more on either side of the subframe a period ago.
//
// What a matrix multiplies, but for P and O, has noise added first. Rows of the batch are
// independent: each thread walks some of them through time, without barriers. Everything is kept
// that the backward pass needs, and becomes the gradient of itself there; the matrices' gradients
// are one product each at the end. Results do not depend on the number of threads. Arrays are
// C-contiguous.
#ifndef PYVOC_TRAINING_FARGAN_SEQUENCE_H_
#define PYVOC_TRAINING_FARGAN_SEQUENCE_H_

#include <cstdint>
#include <vector>

#include "kernels/table.h"
#include "training/row_matrix.h"
#include "training/workspace.h"

namespace pyvoc::training {

struct FarganShape {
  static constexpr int kGrus = 3;
  static constexpr int kSubframe = 40, kSubframes = 4, kPrediction = 44, kHistory = 256;
  static constexpr int kPast = kPrediction + kSubframe;
  static constexpr int kMatrices = 6 + 3 * kGrus;

  int rows = 0;   // of the batch
  int steps = 0;  // subframes, whole frames
  int given = 0;  // of them, the first ones, which are not the network's own
  int cond = 0, fwc = 0, units[kGrus] = {}, skip = 0;
  bool kept = true;  // for a backward pass
};

// The order of the matrices; of GRU k, kGru + 3 k is W, then U, then the gate.
enum FarganMatrix {
  kFwc,
  kFwcGate,
  kPitch,
  kGru,
  kSkip = kGru + 3 * FarganShape::kGrus,
  kSkipGate,
  kOut
};

struct FarganInputs {
  const float* cond = nullptr;           // [rows, steps, cond]
  const float* gains = nullptr;          // [rows, steps]
  const float* scales = nullptr;         // [rows, steps]
  const std::int32_t* places = nullptr;  // [rows, steps / 4, kPrediction], in the history
  const float* history = nullptr;        // [rows, kHistory], what precedes
  const float* forced = nullptr;         // [rows, kSubframe * given]
  const float* noise = nullptr;          // [rows, period], comes again; nullptr: none
  int period = 0, noise_at = 0;          // where it begins
  const float* matrices[FarganShape::kMatrices] = {};
  const float* bias = nullptr;  // [4], of the pitch gates
};

struct FarganGradients {
  float *cond = nullptr, *gains = nullptr, *scales = nullptr;  // as the inputs
  float* matrices[FarganShape::kMatrices] = {};
  float* bias = nullptr;
};

// One forward pass, kept for its backward pass. Not thread-safe; inputs must outlive it.
class FarganSequence {
 public:
  FarganSequence(const FarganShape& shape, const FarganInputs& inputs,
                 const kernels::KernelTable& table);

  // How many numbers of noise each row draws.
  int draws() const { return shape_.steps * drawn_; }
  // written [rows, kSubframe * steps].
  void forward(float* written, int threads);
  // From the gradient of written. Once, after forward.
  void backward(const float* d_written, const FarganGradients& gradients, int threads);

 private:
  // A matrix, what it multiplied, and what came of it: sums, their activation, or the gradient.
  struct Layer {
    RowMatrix matrix;
    int width;       // of y
    int first;       // steps before this one are not kept
    int noise_at;    // in what a step draws; -1: hears none
    Workspace x, y;  // [steps kept][rows][inputs], [steps kept][rows][width]
  };
  struct Rows {
    int first, count;
  };
  class Walk;

  void add_layer(FarganMatrix name, const RowMatrix::Parts& outputs, const RowMatrix::Parts& inputs,
                 int width, bool noisy);
  Layer& layer(int name) { return layers_[static_cast<std::size_t>(name)]; }
  int pieces(int threads) const;
  Rows rows_of(int piece, int pieces) const;
  // Where what is kept of a row lies, in an array of `width` numbers a row.
  float* at(const Workspace& array, int width, int step, int row) const;
  float* x_at(const Layer& layer, int step, int row) const;
  float* y_at(const Layer& layer, int step, int row) const;
  float* sample_at(int step, int row) const;  // the oldest of the history of a step
  std::vector<Columns> gradient_of(int name, int step, int row);
  void weight_gradients(const FarganGradients& gradients, int threads);

  FarganShape shape_;
  FarganInputs inputs_;
  const kernels::KernelTable& table_;
  int drawn_ = 0;                         // numbers of noise in a step
  int slots_;                             // steps that are kept
  std::vector<Layer> layers_;             // in the order of the matrices
  Workspace states_[FarganShape::kGrus];  // [steps kept][rows][units, padded]
  Workspace samples_;                     // [rows][kHistory + kSubframe * steps]
  Workspace zeros_;                       // [rows][units, padded], the state before the first step
};

}  // namespace pyvoc::training
#endif  // PYVOC_TRAINING_FARGAN_SEQUENCE_H_
