#include "training/fargan_sequence.h"

#include <algorithm>
#include <cstddef>

#include "training/fargan_walk.h"
#include "training/parallel.h"

namespace pyvoc::training {
namespace {

constexpr int kMostRows = 36;  // that are walked together: their numbers stay in the cache

using Shape = FarganShape;
constexpr int kPitchGates = Shape::kGrus + 1;

std::size_t product(int a, int b) { return static_cast<std::size_t>(a) * b; }

int sum(const RowMatrix::Parts& parts) {
  int total = 0;
  for (int part : parts) total += part;
  return total;
}

}  // namespace

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
