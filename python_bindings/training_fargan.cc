// pyvoc._pyvoc.training.FarganPass: FARGAN's loop with its gradients. Arrays are C-contiguous and
// are not copied; the caller (pyvoc/families/fargan/train/native.py) allocates results.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "arrays.h"
#include "gil.h"
#include "kernels/resolve.h"
#include "model.h"
#include "training/fargan_sequence.h"
#include "training_arrays.h"

namespace py = pybind11;

namespace pyvoc::python {
namespace {

using Shape = training::FarganShape;
using Places = py::array_t<std::int32_t, py::array::c_style>;

// One forward pass; see training/fargan_sequence.h. Keeps the arrays that its backward pass reads.
class FarganPass {
 public:
  FarganPass(const FloatArray& cond, const FloatArray& gains, const FloatArray& scales,
             const Places& places, const FloatArray& history, const FloatArray& forced,
             const std::optional<FloatArray>& noise, int noise_at,
             const std::vector<FloatArray>& matrices, const FloatArray& bias, bool kept) {
    require(cond.ndim() == 3 && cond.shape(0) > 0 && cond.shape(1) > 0 && cond.shape(2) > 0 &&
                cond.shape(1) % Shape::kSubframes == 0,
            "cond");
    require(matrices.size() == Shape::kMatrices, "matrices");
    for (const FloatArray& matrix : matrices) require(matrix.ndim() == 2, "a matrix");
    shape_.rows = static_cast<int>(cond.shape(0));
    shape_.steps = static_cast<int>(cond.shape(1));
    shape_.cond = static_cast<int>(cond.shape(2));
    shape_.fwc = static_cast<int>(matrices[training::kFwc].shape(0));
    shape_.skip = static_cast<int>(matrices[training::kSkip].shape(0));
    shape_.kept = kept;
    check_shape(gains, {shape_.rows, shape_.steps}, "gains");
    check_shape(scales, {shape_.rows, shape_.steps}, "scales");
    check_shape(places, {shape_.rows, shape_.steps / Shape::kSubframes, Shape::kPrediction},
                "places");
    const std::int32_t* place = places.data();
    require(std::all_of(place, place + places.size(),
                        [](std::int32_t at) { return at >= 0 && at < Shape::kHistory; }),
            "places");
    check_shape(history, {shape_.rows, Shape::kHistory}, "history");
    require(forced.ndim() == 2 && forced.shape(1) % Shape::kSubframe == 0, "forced");
    shape_.given =
        static_cast<int>(std::min<py::ssize_t>(forced.shape(1) / Shape::kSubframe, shape_.steps));
    check_shape(forced, {shape_.rows, Shape::kSubframe * shape_.given}, "forced");
    check_matrices(matrices);
    check_shape(bias, {Shape::kGrus + 1}, "bias");
    bias_.assign(16, 0.0f);  // whole vectors are read
    std::copy(bias.data(), bias.data() + bias.size(), bias_.data());

    training::FarganInputs inputs;
    inputs.cond = cond.data();
    inputs.gains = gains.data();
    inputs.scales = scales.data();
    inputs.places = place;
    inputs.history = history.data();
    inputs.forced = forced.data();
    if (noise) {
      require(noise->ndim() == 2 && noise->shape(0) == shape_.rows && noise->shape(1) > 0 &&
                  noise_at >= 0 && noise_at < noise->shape(1),
              "noise");
      inputs.noise = noise->data();
      inputs.period = static_cast<int>(noise->shape(1));
      inputs.noise_at = noise_at;
    }
    for (std::size_t k = 0; k < matrices.size(); ++k) inputs.matrices[k] = matrices[k].data();
    inputs.bias = bias_.data();
    keep_ = py::make_tuple(cond, gains, scales, places, history, forced, noise);
    pass_ = std::make_unique<training::FarganSequence>(shape_, inputs, training_table());
  }

  int draws() const { return pass_->draws(); }

  void forward(FloatArray written, int threads) {
    check_shape(written, {shape_.rows, Shape::kSubframe * shape_.steps}, "written");
    float* to = written.mutable_data();
    const Unlocked unlocked;
    pass_->forward(to, threads);
    ready_ = true;
  }

  void backward(const FloatArray& d_written, FloatArray d_cond, FloatArray d_gains,
                FloatArray d_scales, std::vector<FloatArray> d_matrices, FloatArray d_bias,
                int threads) {
    require(shape_.kept, "a pass that was not kept");
    // What was kept becomes gradients, so that a second time there is nothing to begin from.
    if (!ready_) raise(PYVOC_ERROR_ARGUMENT, "backward goes once, after forward");
    check_shape(d_written, {shape_.rows, Shape::kSubframe * shape_.steps}, "d_written");
    check_shape(d_cond, {shape_.rows, shape_.steps, shape_.cond}, "d_cond");
    check_shape(d_gains, {shape_.rows, shape_.steps}, "d_gains");
    check_shape(d_scales, {shape_.rows, shape_.steps}, "d_scales");
    check_shape(d_bias, {Shape::kGrus + 1}, "d_bias");
    require(d_matrices.size() == Shape::kMatrices, "d_matrices");
    check_matrices(d_matrices);
    training::FarganGradients to;
    to.cond = d_cond.mutable_data();
    to.gains = d_gains.mutable_data();
    to.scales = d_scales.mutable_data();
    for (std::size_t k = 0; k < d_matrices.size(); ++k) {
      to.matrices[k] = d_matrices[k].mutable_data();
    }
    to.bias = d_bias.mutable_data();
    const float* from = d_written.data();
    ready_ = false;
    const Unlocked unlocked;
    pass_->backward(from, to, threads);
  }

 private:
  // Fills in the units at first.
  void check_matrices(const std::vector<FloatArray>& matrices) {
    const py::ssize_t fwc = shape_.fwc, skip = shape_.skip;
    const py::ssize_t past = 2 * Shape::kSubframe;  // as GRUs hear it
    const auto check = [&](int name, py::ssize_t outputs, py::ssize_t inputs) {
      require(outputs > 0, "a matrix");
      check_shape(matrices[static_cast<std::size_t>(name)], {outputs, inputs}, "a matrix");
    };
    check(training::kFwc, fwc, 2 * (shape_.cond + Shape::kPast));
    check(training::kFwcGate, fwc, fwc);
    check(training::kPitch, Shape::kGrus + 1, fwc);
    py::ssize_t last = fwc, together = fwc + past;
    for (int k = 0; k < Shape::kGrus; ++k) {
      const int name = training::kGru + 3 * k;
      if (shape_.units[k] == 0) {
        shape_.units[k] = static_cast<int>(matrices[static_cast<std::size_t>(name + 1)].shape(1));
      }
      const py::ssize_t units = shape_.units[k];
      check(name, 3 * units, last + past);
      check(name + 1, 3 * units, units);
      check(name + 2, units, units);
      last = units;
      together += units;
    }
    check(training::kSkip, skip, together);
    check(training::kSkipGate, skip, skip);
    check(training::kOut, Shape::kSubframe, skip);
  }

  Shape shape_;
  bool ready_ = false;  // for a backward pass
  std::vector<float> bias_;
  py::tuple keep_;
  std::unique_ptr<training::FarganSequence> pass_;
};

}  // namespace

void add_training_fargan(py::module_& training) {
  py::class_<FarganPass>(training, "FarganPass")
      .def(py::init<const FloatArray&, const FloatArray&, const FloatArray&, const Places&,
                    const FloatArray&, const FloatArray&, const std::optional<FloatArray>&, int,
                    const std::vector<FloatArray>&, const FloatArray&, bool>(),
           py::arg("cond").noconvert(), py::arg("gains").noconvert(), py::arg("scales").noconvert(),
           py::arg("places").noconvert(), py::arg("history").noconvert(),
           py::arg("forced").noconvert(), py::arg("noise").noconvert(), py::arg("noise_at"),
           py::arg("matrices").noconvert(), py::arg("bias").noconvert(), py::arg("kept"))
      .def_property_readonly("draws", &FarganPass::draws)
      .def("forward", &FarganPass::forward, py::arg("written").noconvert(), py::arg("threads"))
      .def("backward", &FarganPass::backward, py::arg("d_written").noconvert(),
           py::arg("d_cond").noconvert(), py::arg("d_gains").noconvert(),
           py::arg("d_scales").noconvert(), py::arg("d_matrices").noconvert(),
           py::arg("d_bias").noconvert(), py::arg("threads"));
}

}  // namespace pyvoc::python
