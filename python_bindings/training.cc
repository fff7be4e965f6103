// pyvoc._pyvoc.training: signal work of the training data that is too slow in Python. Not part of
// the API. The GIL is released around native work.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>

#include "arrays.h"
#include "dsp/biquad.h"
#include "dsp/excitation.h"
#include "gil.h"
#include "model.h"

namespace py = pybind11;

namespace pyvoc::python {
namespace {

using IntArray = py::array_t<std::int32_t, py::array::c_style>;

std::size_t length(const py::array& array, const char* name) {
  if (array.ndim() != 1) {
    throw py::value_error(std::string(name) + " has " + std::to_string(array.ndim()) +
                          " dimensions; expected one");
  }
  return static_cast<std::size_t>(array.size());
}

void check_finite(const FloatArray& array, const char* name) {
  const float* x = array.data();
  for (py::ssize_t i = 0; i < array.size(); ++i) {
    if (!std::isfinite(x[i])) {
      throw py::value_error(std::string(name) + " is not finite at " + std::to_string(i));
    }
  }
}

// clean, noise [frames * 160], lpc [frames, 16] -> signal float32, codes uint8 [frames * 160].
py::tuple excite(const FloatArray& clean, const FloatArray& lpc, const IntArray& noise) {
  if (lpc.ndim() != 2 || lpc.shape(1) != dsp::kLpcOrder) {
    throw py::value_error("lpc: expected [frames, 16]");
  }
  const auto frames = static_cast<std::size_t>(lpc.shape(0));
  const std::size_t samples = frames * dsp::kFrame;
  if (length(clean, "clean") != samples || length(noise, "noise") != samples) {
    throw py::value_error("clean has " + std::to_string(clean.size()) + " samples and noise " +
                          std::to_string(noise.size()) + "; expected " + std::to_string(samples) +
                          " for " + std::to_string(frames) + " frames of 160");
  }
  check_finite(clean, "clean");
  check_finite(lpc, "lpc");
  FloatArray signal(static_cast<py::ssize_t>(samples));
  py::array_t<std::uint8_t> codes(static_cast<py::ssize_t>(samples));
  const float* in = clean.data();
  const float* predictors = lpc.data();
  const std::int32_t* added = noise.data();
  float* heard = signal.mutable_data();
  std::uint8_t* targets = codes.mutable_data();
  {
    const Unlocked unlocked;
    dsp::Excitation().run(in, predictors, added, frames, heard, targets);
  }
  return py::make_tuple(signal, codes);
}

// x [n] through (1 + b0 z^-1 + b1 z^-2) / (1 + a0 z^-1 + a1 z^-2), from rest.
FloatArray biquad(const FloatArray& x, const FloatArray& b, const FloatArray& a) {
  const std::size_t n = length(x, "x");
  if (length(b, "b") != 2 || length(a, "a") != 2) {
    throw py::value_error("expected two coefficients in b and in a");
  }
  FloatArray out(static_cast<py::ssize_t>(n));
  const float* in = x.data();
  const float* numerator = b.data();
  const float* denominator = a.data();
  float* y = out.mutable_data();
  const Unlocked unlocked;
  std::copy(in, in + n, y);
  float memory[2] = {};
  dsp::biquad(y, n, memory, numerator, denominator);
  return out;
}

}  // namespace

void add_training(py::module_& training) {
  training.def("excite", &excite, py::arg("clean").noconvert(), py::arg("lpc").noconvert(),
               py::arg("noise").noconvert());
  training.def("biquad", &biquad, py::arg("x").noconvert(), py::arg("b").noconvert(),
               py::arg("a").noconvert());
  training.attr("HIGH_PASS_B") = py::make_tuple(dsp::kHighPassB[0], dsp::kHighPassB[1]);
  training.attr("HIGH_PASS_A") = py::make_tuple(dsp::kHighPassA[0], dsp::kHighPassA[1]);
}

}  // namespace pyvoc::python
