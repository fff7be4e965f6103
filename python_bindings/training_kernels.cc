// pyvoc._pyvoc.training: the sequence layers that pyvoc.train runs on a CPU. Arrays are float32,
// C-contiguous and are not copied; the caller (pyvoc/train/recurrent.py and others) allocates
// results.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "arrays.h"
#include "gil.h"
#include "kernels/resolve.h"
#include "model.h"
#include "training/block_product.h"
#include "training/gru_sequence.h"
#include "training/tree_loss.h"
#include "training_arrays.h"

namespace py = pybind11;

namespace pyvoc::python {
namespace {

using Bytes = py::array_t<std::uint8_t, py::array::c_style>;

// One forward pass; see training/gru_sequence.h. Keeps the arrays that its backward pass reads.
class GruPass {
 public:
  GruPass(const FloatArray& gates, int steps, const std::vector<FloatArray>& tables,
          const std::optional<FloatArray>& codes, const FloatArray& weight,
          const std::optional<Bytes>& mask, const FloatArray& bias, const FloatArray& state)
      : codes_(codes) {
    require(gates.ndim() == 3 && gates.shape(1) > 0 && steps > 0 && steps % gates.shape(1) == 0,
            "gates");
    shape_.rows = static_cast<int>(gates.shape(0));
    shape_.steps = steps;
    shape_.hop = static_cast<int>(steps / gates.shape(1));
    shape_.units = static_cast<int>(gates.shape(2) / 3);
    const py::ssize_t units = shape_.units;
    require(shape_.rows > 0 && units > 0 && units % 16 == 0 && gates.shape(2) == 3 * units,
            "gates");
    check_shape(weight, {3 * units, units}, "weight");
    check_shape(bias, {3 * units}, "bias");
    check_shape(state, {shape_.rows, units}, "state");
    training::GruInputs inputs;
    inputs.gates = gates.data();
    if (mask) {
      check_shape(*mask, {3 * units / 8, units / 4}, "mask");
      inputs.mask = mask->data();
    }
    require(tables.empty() || tables.size() == training::kTables, "tables");
    if (!tables.empty()) {
      require(codes.has_value(), "codes");
      check_shape(*codes, {shape_.rows, training::kTables, steps}, "codes");
      shape_.levels = static_cast<int>(tables[0].shape(0));
      require(shape_.levels > 0, "tables");
      for (std::size_t k = 0; k < training::kTables; ++k) {
        check_shape(tables[k], {shape_.levels, 3 * units}, "tables");
        inputs.tables[k] = tables[k].data();
      }
      inputs.codes = codes->data();
    }
    inputs.weight = weight.data();
    inputs.bias = bias.data();
    inputs.state = state.data();
    keep_ = py::make_tuple(gates, tables, codes, bias, state);
    pass_ = std::make_unique<training::GruSequence>(shape_, inputs, training_table());
  }

  void forward(FloatArray out, int threads) {
    check_shape(out, {shape_.rows, shape_.steps, shape_.units}, "out");
    float* to = out.mutable_data();
    const Unlocked unlocked;
    pass_->forward(to, threads);
  }

  void backward(const FloatArray& d_out, FloatArray d_gates, std::vector<FloatArray> d_tables,
                FloatArray d_weight, FloatArray d_bias, int threads) {
    const py::ssize_t units = shape_.units;
    check_shape(d_out, {shape_.rows, shape_.steps, units}, "d_out");
    check_shape(d_gates, {shape_.rows, shape_.steps / shape_.hop, 3 * units}, "d_gates");
    check_shape(d_weight, {3 * units, units}, "d_weight");
    check_shape(d_bias, {3 * units}, "d_bias");
    require(d_tables.size() == (shape_.levels > 0 ? training::kTables : 0), "d_tables");
    training::GruGradients to;
    to.gates = d_gates.mutable_data();
    to.weight = d_weight.mutable_data();
    to.bias = d_bias.mutable_data();
    for (std::size_t k = 0; k < d_tables.size(); ++k) {
      check_shape(d_tables[k], {shape_.levels, 3 * units}, "d_tables");
      to.tables[k] = d_tables[k].mutable_data();
    }
    const float* from = d_out.data();
    const Unlocked unlocked;
    pass_->backward(from, to, threads);
  }

 private:
  training::GruShape shape_;
  std::optional<FloatArray> codes_;
  py::tuple keep_;
  std::unique_ptr<training::GruSequence> pass_;
};

// A layer with pruned blocks; see training/block_product.h.
class BlockPass {
 public:
  BlockPass(const FloatArray& matrix, const Bytes& mask) {
    require(matrix.ndim() == 2 && matrix.shape(0) > 0 && matrix.shape(0) % 16 == 0 &&
                matrix.shape(1) > 0 && matrix.shape(1) % 16 == 0,
            "matrix");
    check_shape(mask, {matrix.shape(0) / 8, matrix.shape(1) / 4}, "mask");
    product_ = std::make_unique<training::BlockProduct>(
        matrix.data(), mask.data(), static_cast<int>(matrix.shape(0)),
        static_cast<int>(matrix.shape(1)), training_table());
  }

  void forward(const FloatArray& x, FloatArray y, int threads) const {
    const int rows = rows_of(x);
    check_shape(y, {rows, product_->outputs()}, "y");
    const float* from = x.data();
    float* to = y.mutable_data();
    const py::gil_scoped_release unlocked;
    product_->forward(from, rows, to, threads);
  }

  void backward(const FloatArray& x, const FloatArray& d, FloatArray d_x, FloatArray d_matrix,
                int threads) const {
    const int rows = rows_of(x);
    check_shape(d, {rows, product_->outputs()}, "d");
    check_shape(d_x, {rows, product_->inputs()}, "d_x");
    check_shape(d_matrix, {product_->outputs(), product_->inputs()}, "d_matrix");
    const float *inputs = x.data(), *from = d.data();
    float *to = d_x.mutable_data(), *gradient = d_matrix.mutable_data();
    const py::gil_scoped_release unlocked;
    product_->backward(inputs, from, rows, to, gradient, threads);
  }

 private:
  int rows_of(const FloatArray& x) const {
    require(x.ndim() == 2, "x");
    check_shape(x, {x.shape(0), product_->inputs()}, "x");
    return static_cast<int>(x.shape(0));
  }

  std::unique_ptr<training::BlockProduct> product_;
};

// The tree's loss; see training/tree_loss.h. The four gradients are given together or not at all.
void tree_loss(const FloatArray& x, const Bytes& symbol, const FloatArray& weight,
               const FloatArray& bias, const FloatArray& factor, FloatArray nll,
               const std::optional<FloatArray>& weights, std::vector<FloatArray> gradients,
               int threads) {
  require(x.ndim() == 2 && x.shape(1) > 0 && x.shape(1) % 16 == 0, "x");
  const py::ssize_t count = x.shape(0), inputs = x.shape(1);
  check_shape(symbol, {count}, "symbol");
  check_shape(weight, {2, 256, inputs}, "weight");
  check_shape(bias, {2, 256}, "bias");
  check_shape(factor, {2, 256}, "factor");
  check_shape(nll, {count}, "nll");
  kernels::TreeNll problem;
  problem.count = static_cast<std::int32_t>(count);
  problem.inputs = static_cast<std::int32_t>(inputs);
  problem.x = x.data();
  problem.symbol = symbol.data();
  problem.weight = weight.data();
  problem.bias = bias.data();
  problem.factor = factor.data();
  problem.nll = nll.mutable_data();
  if (weights) {
    check_shape(*weights, {count}, "weights");
    require(gradients.size() == 4, "gradients");
    check_shape(gradients[0], {count, inputs}, "d_x");
    check_shape(gradients[1], {2, 256, inputs}, "d_weight");
    check_shape(gradients[2], {2, 256}, "d_bias");
    check_shape(gradients[3], {2, 256}, "d_factor");
    problem.weights = weights->data();
    problem.d_x = gradients[0].mutable_data();
    problem.d_weight = gradients[1].mutable_data();
    problem.d_bias = gradients[2].mutable_data();
    problem.d_factor = gradients[3].mutable_data();
  }
  const kernels::KernelTable& kernels = training_table();
  const Unlocked unlocked;
  training::tree_loss(problem, threads, kernels);
}

}  // namespace

void add_training_kernels(py::module_& training) {
  py::class_<GruPass>(training, "GruPass")
      .def(py::init<const FloatArray&, int, const std::vector<FloatArray>&,
                    const std::optional<FloatArray>&, const FloatArray&,
                    const std::optional<Bytes>&, const FloatArray&, const FloatArray&>(),
           py::arg("gates").noconvert(), py::arg("steps"), py::arg("tables").noconvert(),
           py::arg("codes").noconvert(), py::arg("weight").noconvert(), py::arg("mask").noconvert(),
           py::arg("bias").noconvert(), py::arg("state").noconvert())
      .def("forward", &GruPass::forward, py::arg("out").noconvert(), py::arg("threads"))
      .def("backward", &GruPass::backward, py::arg("d_out").noconvert(),
           py::arg("d_gates").noconvert(), py::arg("d_tables").noconvert(),
           py::arg("d_weight").noconvert(), py::arg("d_bias").noconvert(), py::arg("threads"));
  py::class_<BlockPass>(training, "BlockPass")
      .def(py::init<const FloatArray&, const Bytes&>(), py::arg("matrix").noconvert(),
           py::arg("mask").noconvert())
      .def("forward", &BlockPass::forward, py::arg("x").noconvert(), py::arg("y").noconvert(),
           py::arg("threads"))
      .def("backward", &BlockPass::backward, py::arg("x").noconvert(), py::arg("d").noconvert(),
           py::arg("d_x").noconvert(), py::arg("d_matrix").noconvert(), py::arg("threads"));
  training.def("tree_loss", &tree_loss, py::arg("x").noconvert(), py::arg("symbol").noconvert(),
               py::arg("weight").noconvert(), py::arg("bias").noconvert(),
               py::arg("factor").noconvert(), py::arg("nll").noconvert(),
               py::arg("weights").noconvert(), py::arg("gradients").noconvert(),
               py::arg("threads"));
}

}  // namespace pyvoc::python
