// The extension module pyvoc._pyvoc.
#include <pybind11/pybind11.h>

namespace pyvoc::python {

void bind_extractor(pybind11::module_& module);

}  // namespace pyvoc::python

PYBIND11_MODULE(_pyvoc, module) { pyvoc::python::bind_extractor(module); }
