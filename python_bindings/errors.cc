#include "errors.h"

#include <pybind11/pybind11.h>

namespace py = pybind11;

namespace pyvoc::python {
namespace {

const char* class_name(pyvoc_status status) {
  switch (status) {
    case PYVOC_ERROR_MODEL:
      return "ModelError";
    case PYVOC_ERROR_FEATURE:
      return "FeatureError";
    case PYVOC_ERROR_AUDIO:
      return "AudioError";
    case PYVOC_ERROR_UNSUPPORTED:
      return "UnsupportedError";
    default:
      return "Error";
  }
}

}  // namespace

void set_error(pyvoc_status status, const std::string& message) {
  if (status == PYVOC_ERROR_MEMORY) {
    PyErr_SetString(PyExc_MemoryError, message.c_str());
    return;
  }
  const py::object type = py::module_::import("pyvoc.errors").attr(class_name(status));
  PyErr_SetString(type.ptr(), message.c_str());
}

void raise(pyvoc_status status, const std::string& message) {
  set_error(status, message);
  throw py::error_already_set();
}

void check(pyvoc_status status) {
  if (status != PYVOC_OK) raise(status, pyvoc_last_error());
}

}  // namespace pyvoc::python
