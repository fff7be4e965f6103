// pyvoc.Folds' native half.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <tuple>
#include <vector>

#include "arrays.h"
#include "model.h"

namespace py = pybind11;

namespace pyvoc::python {
namespace {

class PyFolds {
 public:
  PyFolds(const Model& model, std::size_t frames, std::uint64_t target, std::uint64_t overlap,
          bool upstream)
      : folds_(model, frames, options(target, overlap, upstream)), info_(folds_.info()) {}

  std::uint64_t count() const { return info_.count; }
  std::uint64_t samples() const { return info_.samples; }
  std::uint64_t length() const { return info_.length; }

  std::tuple<std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t> fold(
      std::size_t i) const {
    const pyvoc_fold f = folds_[i];
    return {f.start, f.samples, f.first_frame, f.frames, f.skip};
  }

  FloatArray join(const std::vector<FloatArray>& parts) const {
    std::vector<const float*> data;
    for (std::size_t i = 0; i < parts.size() && i < info_.count; ++i) {
      if (parts[i].ndim() != 1 ||
          static_cast<std::uint64_t>(parts[i].shape(0)) != folds_[i].samples) {
        raise(PYVOC_ERROR_ARGUMENT, "fold " + std::to_string(i) + " does not have " +
                                        std::to_string(folds_[i].samples) + " samples");
      }
      data.push_back(parts[i].data());
    }
    FloatArray out(static_cast<py::ssize_t>(info_.samples));
    folds_.join(data.data(), parts.size(), out.mutable_data(), info_.samples);
    return out;
  }

 private:
  static pyvoc_folds_options options(std::uint64_t target, std::uint64_t overlap, bool upstream) {
    pyvoc_folds_options options = PYVOC_FOLDS_OPTIONS_INIT;
    options.upstream = upstream ? 1 : 0;
    options.target = target;
    options.overlap = overlap;
    return options;
  }

  Folds folds_;
  pyvoc_folds_info info_;
};

}  // namespace

void bind_folds(py::module_& module) {
  py::class_<PyFolds>(module, "Folds")
      .def(py::init<const Model&, std::size_t, std::uint64_t, std::uint64_t, bool>(),
           py::arg("model"), py::arg("frames"), py::arg("target"), py::arg("overlap"),
           py::arg("upstream"))
      .def("fold", &PyFolds::fold, py::arg("i"))
      .def("join", &PyFolds::join, py::arg("parts"))
      .def_property_readonly("count", &PyFolds::count)
      .def_property_readonly("samples", &PyFolds::samples)
      .def_property_readonly("length", &PyFolds::length);
}

}  // namespace pyvoc::python
