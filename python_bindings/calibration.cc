// pyvoc._pyvoc.activation_ranges: what the layers of a model get, for int8 quantisation.
#include <string>
#include <vector>

#include "api/handles.h"
#include "arrays.h"
#include "errors.h"
#include "model.h"

namespace py = pybind11;

namespace pyvoc::python {
namespace {

// {layer: (low, high, sum of squares, number of values)} over one utterance [frames, feature_dims].
py::dict activation_ranges(const Model& model, const FloatArray& features) {
  const models::Vocoder& vocoder = *model.get()->vocoder;
  const auto dims = static_cast<std::size_t>(vocoder.info().feature_dims);
  check_frames(features, dims);
  const Matrix<const float> rows(features.data(), static_cast<std::size_t>(features.shape(0)), dims,
                                 static_cast<std::size_t>(features.shape(1)));
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    if (!vocoder.valid_frame(rows[i].data())) {
      raise(PYVOC_ERROR_FEATURE, "frame " + std::to_string(i) + " has absurd values");
    }
  }
  std::vector<models::ActivationRange> found;
  {
    const py::gil_scoped_release release;
    const Status status = vocoder.observe(rows, found);
    if (!status.ok()) raise(PYVOC_ERROR_UNSUPPORTED, status.message());
  }
  py::dict ranges;
  for (const models::ActivationRange& range : found) {
    ranges[range.layer.c_str()] = py::make_tuple(range.low, range.high, range.squares, range.count);
  }
  return ranges;
}

}  // namespace

void add_calibration(py::module_& module) {
  module.def("activation_ranges", &activation_ranges, py::arg("model"),
             py::arg("features").noconvert());
}

}  // namespace pyvoc::python
