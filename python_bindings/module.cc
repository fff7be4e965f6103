// The extension module pyvoc._pyvoc, written on pyvoc.hpp (and, for tests only, on what lies
// below).
#include <pybind11/pybind11.h>

#include "errors.h"
#include "model.h"

PYBIND11_MODULE(_pyvoc, module) {
  pybind11::register_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const pyvoc::Exception& e) {
      pyvoc::python::set_error(e.status(), e.what());
    }
  });
  module.def("version", &pyvoc::version);
  module.def("system_info", &pyvoc::system_info);
  pyvoc::python::bind_model(module);
  pyvoc::python::bind_stream(module);
  pyvoc::python::bind_extractor(module);
  pyvoc::python::bind_denoiser(module);
  pyvoc::python::bind_folds(module);
  pyvoc::python::bind_live(module);
  pyvoc::python::add_calibration(module);
  pyvoc::python::bind_testing(module);
  pybind11::module_ training = module.def_submodule("training");
  pyvoc::python::add_training(training);
  pyvoc::python::add_training_kernels(training);
  pyvoc::python::add_training_fargan(training);
}
