// Arrays at the boundary: float32, C-contiguous, never converted behind the caller's back.
#ifndef PYVOC_PYTHON_ARRAYS_H_
#define PYVOC_PYTHON_ARRAYS_H_

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstddef>
#include <string>

#include "errors.h"

namespace pyvoc::python {

using FloatArray = pybind11::array_t<float, pybind11::array::c_style>;

// Frames [n, dims] with at least `dims` columns.
inline void check_frames(const FloatArray& frames, std::size_t dims) {
  if (frames.ndim() == 2 && static_cast<std::size_t>(frames.shape(1)) >= dims) return;
  std::string found = "[";
  for (pybind11::ssize_t i = 0; i < frames.ndim(); ++i) {
    found += (i == 0 ? "" : ", ") + std::to_string(frames.shape(i));
  }
  found += "]";
  const bool transposed = frames.ndim() == 2 && static_cast<std::size_t>(frames.shape(0)) == dims;
  raise(PYVOC_ERROR_FEATURE, "features have shape " + found + ", expected [frames, " +
                                 std::to_string(dims) + " or more]" +
                                 (transposed ? ": they look transposed" : ""));
}

}  // namespace pyvoc::python
#endif  // PYVOC_PYTHON_ARRAYS_H_
