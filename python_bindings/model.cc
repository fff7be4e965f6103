// pyvoc.Model's native half.
#include "model.h"

#include <pybind11/numpy.h>

#include <string>

#include "arrays.h"
#include "gil.h"

namespace py = pybind11;

namespace pyvoc::python {
namespace {

FloatArray predict(const Model& model, const FloatArray& features, const FloatArray& pcm) {
  const pyvoc_model_info info = model.info();
  check_frames(features, info.feature_dims);
  if (pcm.ndim() != 1) raise(PYVOC_ERROR_AUDIO, "pcm is not one-dimensional");
  const auto samples = static_cast<std::size_t>(pcm.shape(0));
  FloatArray out({samples, static_cast<std::size_t>(info.distribution_size)});
  const float* rows = features.data();
  const float* in = pcm.data();
  float* probabilities = out.mutable_data();
  const auto frames = static_cast<std::size_t>(features.shape(0));
  const auto stride = static_cast<std::size_t>(features.shape(1));
  {
    const Unlocked unlocked;
    model.predict(rows, frames, stride, in, samples, probabilities);
  }
  return out;
}

py::tuple forward(const Model& model, const FloatArray& features, const FloatArray& pcm,
                  std::uint32_t threads) {
  const pyvoc_model_info info = model.info();
  check_frames(features, info.feature_dims);
  if (pcm.ndim() != 1) raise(PYVOC_ERROR_AUDIO, "pcm is not one-dimensional");
  const auto samples = static_cast<std::size_t>(pcm.shape(0));
  const auto flows = static_cast<std::size_t>(info.flows);
  FloatArray noise(samples);
  py::array_t<double> log_scales(flows), log_dets(flows);
  const float* rows = features.data();
  const float* in = pcm.data();
  float* z = noise.mutable_data();
  double* scales = log_scales.mutable_data();
  double* determinants = log_dets.mutable_data();
  const auto frames = static_cast<std::size_t>(features.shape(0));
  const auto stride = static_cast<std::size_t>(features.shape(1));
  {
    const Unlocked unlocked;
    model.forward(rows, frames, stride, in, samples, threads, z, scales, determinants);
  }
  return py::make_tuple(noise, log_scales, log_dets);
}

}  // namespace

void bind_model(py::module_& module) {
  py::class_<Model>(module, "Model")
      .def(py::init([](const std::string& path) {
             const Unlocked unlocked;
             return Model(path);
           }),
           py::arg("path"))
      .def("describe", &Model::describe)
      .def("predict", &predict, py::arg("features").noconvert(), py::arg("pcm").noconvert())
      .def("forward", &forward, py::arg("features").noconvert(), py::arg("pcm").noconvert(),
           py::arg("threads"))
      .def_property_readonly("architecture", [](const Model& m) { return m.info().architecture; })
      .def_property_readonly("precision", [](const Model& m) { return m.info().precision; })
      .def_property_readonly("feature_layout",
                             [](const Model& m) { return m.info().feature_layout; })
      .def_property_readonly("pitch_network",
                             [](const Model& m) { return m.info().pitch_network != 0; })
      .def_property_readonly("layout_dims", [](const Model& m) { return m.info().layout_dims; })
      .def_property_readonly("feature_dims", [](const Model& m) { return m.info().feature_dims; })
      .def_property_readonly("sample_rate", [](const Model& m) { return m.info().sample_rate; })
      .def_property_readonly("hop_length", [](const Model& m) { return m.info().hop_length; })
      .def_property_readonly("lookahead_frames",
                             [](const Model& m) { return m.info().lookahead_frames; })
      .def_property_readonly("latency_samples",
                             [](const Model& m) { return m.info().latency_samples; })
      .def_property_readonly("prime_samples", [](const Model& m) { return m.info().prime_samples; })
      .def_property_readonly("prime_frames", [](const Model& m) { return m.info().prime_frames; })
      .def_property_readonly("draws_per_sample",
                             [](const Model& m) { return m.info().draws_per_sample; })
      .def_property_readonly("takes_sigma",
                             [](const Model& m) { return m.info().takes_sigma != 0; })
      .def_property_readonly("distribution_size",
                             [](const Model& m) { return m.info().distribution_size; });
}

}  // namespace pyvoc::python
