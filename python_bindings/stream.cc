// pyvoc.Stream's native half. The GIL is released around synthesis.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "arrays.h"
#include "gil.h"
#include "model.h"

namespace py = pybind11;

namespace pyvoc::python {
namespace {

class PyStream {
 public:
  PyStream(const Model& model, std::uint64_t seed, std::uint32_t threads,
           std::optional<float> sigma, std::optional<std::uint32_t> lookahead)
      : dims_(model.info().feature_dims) {
    pyvoc_stream_options options = PYVOC_STREAM_OPTIONS_INIT;
    options.seed = seed;
    options.threads = threads;
    options.sigma_given = sigma.has_value() ? 1 : 0;
    options.sigma = sigma.value_or(0.0f);
    options.lookahead_given = lookahead.has_value() ? 1 : 0;
    options.lookahead_frames = lookahead.value_or(0);
    stream_ = std::make_unique<Stream>(model, options);
  }

  void push(const FloatArray& frames) {
    check_frames(frames, dims_);
    const float* rows = frames.data();
    const auto n = static_cast<std::size_t>(frames.shape(0));
    const auto stride = static_cast<std::size_t>(frames.shape(1));
    const Unlocked unlocked;
    Stream& s = open();
    s.reserve(n);
    s.push(rows, n, stride);
  }

  // Up to `limit` samples; the array owns its memory.
  FloatArray pull(std::size_t limit) {
    const std::size_t n = std::min(limit, open().available());
    FloatArray out(static_cast<py::ssize_t>(n));
    float* samples = out.mutable_data();
    std::size_t written = 0;
    {
      const Unlocked unlocked;
      written = open().pull(samples, n);
    }
    if (written < n) out.resize({static_cast<py::ssize_t>(written)});
    return out;
  }

  void prime(const FloatArray& samples, const FloatArray& frames) {
    check_frames(frames, dims_);
    if (samples.ndim() != 1) raise(PYVOC_ERROR_AUDIO, "samples are not one-dimensional");
    const float* pcm = samples.data();
    const float* rows = frames.data();
    const auto n_samples = static_cast<std::size_t>(samples.shape(0));
    const auto n_frames = static_cast<std::size_t>(frames.shape(0));
    const auto stride = static_cast<std::size_t>(frames.shape(1));
    const Unlocked unlocked;
    open().prime(pcm, n_samples, rows, n_frames, stride);
  }

  std::size_t available() const { return open().available(); }
  void flush() { open().flush(); }
  void skip(std::size_t n) { open().skip(n); }
  void reset(std::uint64_t seed) {
    open().reset(seed);
    draws_ = FloatArray();
  }
  std::size_t latency_samples() const { return open().latency_samples(); }
  void set_draws(const FloatArray& draws) {
    FloatArray copy(draws.size());
    std::copy(draws.data(), draws.data() + draws.size(), copy.mutable_data());
    open().set_draws(copy.data(), static_cast<std::size_t>(copy.size()));
    draws_ = copy;  // borrowed by the stream
  }
  void close() { stream_.reset(); }
  bool closed() const { return stream_ == nullptr; }

  Stream& open() const {
    if (stream_ == nullptr) throw Exception(PYVOC_ERROR_STATE, "the stream is closed");
    return *stream_;
  }

 private:
  std::size_t dims_;
  FloatArray draws_;
  std::unique_ptr<Stream> stream_;
};

// Up to `limit` samples from each stream, in lockstep.
std::vector<FloatArray> pull_lockstep(const std::vector<PyStream*>& streams, std::size_t limit) {
  std::vector<Stream*> inner;
  std::size_t most = 0;
  for (PyStream* stream : streams) {
    inner.push_back(&stream->open());
    most = std::max(most, stream->available());
  }
  const std::size_t capacity = std::min(limit, most);
  std::vector<FloatArray> out;
  std::vector<float*> samples;
  std::vector<std::size_t> written(streams.size());
  for (std::size_t i = 0; i < streams.size(); ++i) {
    out.emplace_back(static_cast<py::ssize_t>(capacity));
    samples.push_back(out.back().mutable_data());
  }
  {
    const Unlocked unlocked;
    pull_batch(inner.data(), inner.size(), samples.data(), capacity, written.data());
  }
  for (std::size_t i = 0; i < streams.size(); ++i) {
    out[i].resize({static_cast<py::ssize_t>(written[i])});
  }
  return out;
}

}  // namespace

void bind_stream(py::module_& module) {
  py::class_<PyStream>(module, "Stream")
      .def(py::init<const Model&, std::uint64_t, std::uint32_t, std::optional<float>,
                    std::optional<std::uint32_t>>(),
           py::arg("model"), py::arg("seed"), py::arg("threads"), py::arg("sigma") = py::none(),
           py::arg("lookahead") = py::none())
      .def("push", &PyStream::push, py::arg("frames").noconvert())
      .def("pull", &PyStream::pull, py::arg("limit"))
      .def("prime", &PyStream::prime, py::arg("samples").noconvert(), py::arg("frames").noconvert())
      .def("flush", &PyStream::flush)
      .def("skip", &PyStream::skip, py::arg("n"))
      .def("reset", &PyStream::reset, py::arg("seed"))
      .def("set_draws", &PyStream::set_draws, py::arg("draws").noconvert())
      .def("close", &PyStream::close)
      .def_property_readonly("closed", &PyStream::closed)
      .def_property_readonly("available", &PyStream::available)
      .def_property_readonly("latency_samples", &PyStream::latency_samples);
  module.def("pull_lockstep", &pull_lockstep, py::arg("streams"), py::arg("limit"));
}

}  // namespace pyvoc::python
