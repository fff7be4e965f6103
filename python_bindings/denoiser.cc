// pyvoc.Denoiser's native half. The GIL is released around native work.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <vector>

#include "arrays.h"
#include "gil.h"
#include "model.h"

namespace py = pybind11;

namespace pyvoc::python {
namespace {

std::vector<float> copy_of(const FloatArray& array) {
  return std::vector<float>(array.data(), array.data() + array.size());
}

class PyDenoiser {
 public:
  PyDenoiser(const FloatArray& bias, float strength, std::uint32_t hop_length)
      : denoiser_(copy_of(bias), strength, hop_length) {}

  FloatArray push(const FloatArray& pcm) {
    const auto n = static_cast<std::size_t>(pcm.size());
    // With 0, samples_after tells what flushing would give.
    FloatArray out(static_cast<py::ssize_t>(n == 0 ? 0 : denoiser_.samples_after(n)));
    const float* in = pcm.data();
    float* samples = out.mutable_data();
    const auto capacity = static_cast<std::size_t>(out.size());
    {
      const Unlocked unlocked;
      denoiser_.push(in, n, samples, capacity);
    }
    return out;
  }

  FloatArray flush() {
    FloatArray out(static_cast<py::ssize_t>(denoiser_.samples_after(0)));
    denoiser_.flush(out.mutable_data(), static_cast<std::size_t>(out.size()));
    return out;
  }

  void reset() { denoiser_.reset(); }
  std::size_t latency_samples() const { return denoiser_.latency_samples(); }

 private:
  Denoiser denoiser_;
};

FloatArray bias(const FloatArray& hum, std::size_t fft_length) {
  const std::vector<float> found =
      denoiser_bias(hum.data(), static_cast<std::size_t>(hum.size()), fft_length);
  FloatArray out(static_cast<py::ssize_t>(found.size()));
  std::copy(found.begin(), found.end(), out.mutable_data());
  return out;
}

}  // namespace

void bind_denoiser(py::module_& module) {
  py::class_<PyDenoiser>(module, "Denoiser")
      .def(py::init<const FloatArray&, float, std::uint32_t>(), py::arg("bias").noconvert(),
           py::arg("strength"), py::arg("hop_length"))
      .def("push", &PyDenoiser::push, py::arg("pcm").noconvert())
      .def("flush", &PyDenoiser::flush)
      .def("reset", &PyDenoiser::reset)
      .def_property_readonly("latency_samples", &PyDenoiser::latency_samples);
  module.def("denoiser_bias", &bias, py::arg("hum").noconvert(), py::arg("fft_length"));
}

}  // namespace pyvoc::python
