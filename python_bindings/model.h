// The Python classes over the C++ wrappers; shared by model.cc, stream.cc and testing.cc;
// and what module.cc calls.
#ifndef PYVOC_PYTHON_MODEL_H_
#define PYVOC_PYTHON_MODEL_H_

#include <pybind11/pybind11.h>

#include "pyvoc/pyvoc.hpp"

namespace pyvoc::python {

void bind_model(pybind11::module_& module);
void bind_stream(pybind11::module_& module);
void bind_testing(pybind11::module_& module);
void bind_kernel_rate(pybind11::module_& testing);
void add_calibration(pybind11::module_& module);
void bind_extractor(pybind11::module_& module);
void bind_folds(pybind11::module_& module);
void bind_denoiser(pybind11::module_& module);
void bind_live(pybind11::module_& module);
void add_training(pybind11::module_& training);
void add_training_kernels(pybind11::module_& training);
void add_training_fargan(pybind11::module_& training);

}  // namespace pyvoc::python
#endif  // PYVOC_PYTHON_MODEL_H_
