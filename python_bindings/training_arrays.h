// What the bindings of the training kernels share: the table they run on, and checks of shapes.
#ifndef PYVOC_PYTHON_TRAINING_ARRAYS_H_
#define PYVOC_PYTHON_TRAINING_ARRAYS_H_

#include <pybind11/numpy.h>

#include <initializer_list>
#include <string>

#include "errors.h"
#include "kernels/resolve.h"

namespace pyvoc::python {

inline const kernels::KernelTable& training_table() {
  const auto active = kernels::active_table();
  if (!active.ok()) raise(PYVOC_ERROR_UNSUPPORTED, active.status().message());
  return *active.value();
}

inline void require(bool ok, const char* what) {
  if (!ok) raise(PYVOC_ERROR_ARGUMENT, std::string(what) + " has an unexpected shape");
}

template <typename Array>
void check_shape(const Array& array, std::initializer_list<pybind11::ssize_t> shape,
                 const char* what) {
  bool ok = array.ndim() == static_cast<pybind11::ssize_t>(shape.size());
  pybind11::ssize_t axis = 0;
  for (pybind11::ssize_t n : shape) ok = ok && array.shape(axis++) == n;
  require(ok, what);
}

}  // namespace pyvoc::python
#endif  // PYVOC_PYTHON_TRAINING_ARRAYS_H_
