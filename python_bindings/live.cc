// pyvoc.live's native half. The engine runs on threads of its own; of what is called from Python,
// only opening and closing take time, and they release the GIL.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <memory>

#include "arrays.h"
#include "gil.h"
#include "model.h"

namespace py = pybind11;

namespace pyvoc::python {
namespace {

constexpr std::size_t kTapPiece = 65536;

class PyLive {
 public:
  PyLive(const Model& model, std::uint32_t flags, std::uint32_t input_rate,
         std::uint32_t output_rate, std::uint32_t input_channels, std::uint32_t output_channels,
         std::uint32_t block, std::uint32_t chunk_frames, std::uint32_t threads, float margin,
         float pitch, float formant, std::uint64_t seed)
      : dims_(model.info().feature_dims),
        input_channels_(input_channels),
        output_channels_(output_channels) {
    pyvoc_live_options options = PYVOC_LIVE_OPTIONS_INIT;
    options.flags = flags;
    options.input_rate = input_rate;
    options.output_rate = output_rate;
    options.input_channels = input_channels;
    options.output_channels = output_channels;
    options.block = block;
    options.chunk_frames = chunk_frames;
    options.threads = threads;
    options.margin = margin;
    options.pitch = pitch;
    options.formant = formant;
    options.seed = seed;
    const Unlocked unlocked;
    live_ = std::make_unique<Live>(model, options);
  }

  void start() { open().start(); }
  void close() {
    const Unlocked unlocked;
    live_.reset();
  }
  bool closed() const { return live_ == nullptr; }

  std::size_t write(const FloatArray& pcm) {
    return open().write(pcm.data(), static_cast<std::size_t>(pcm.size()) / input_channels_);
  }
  std::size_t write_features(const FloatArray& rows) {
    check_frames(rows, dims_);
    return open().write_features(rows.data(), static_cast<std::size_t>(rows.shape(0)),
                                 static_cast<std::size_t>(rows.shape(1)));
  }
  std::size_t read(FloatArray& out) {
    return open().read(out.mutable_data(), static_cast<std::size_t>(out.size()) / output_channels_);
  }
  void end_input() { open().end_input(); }
  void set_shift(float pitch, float formant) { open().set_shift(pitch, formant); }
  void set_probe(const FloatArray& samples) {
    open().set_probe(samples.data(), static_cast<std::size_t>(samples.size()));
    probe_ = samples;  // borrowed by the engine
  }
  FloatArray tap_input() {
    FloatArray out(static_cast<py::ssize_t>(kTapPiece));
    const std::size_t n = open().tap_input(out.mutable_data(), kTapPiece);
    out.resize({static_cast<py::ssize_t>(n)});
    return out;
  }
  FloatArray tap_output() {
    FloatArray out(static_cast<py::ssize_t>(kTapPiece));
    const std::size_t n = open().tap_output(out.mutable_data(), kTapPiece);
    out.resize({static_cast<py::ssize_t>(n)});
    return out;
  }

  py::dict stats() const {
    const pyvoc_live_stats s = open().stats();
    py::dict d;
    d["chunk_frames"] = s.chunk_frames;
    d["realtime_thread"] = s.realtime_thread != 0;
    d["done"] = s.done != 0;
    d["input_frames"] = s.input_frames;
    d["output_frames"] = s.output_frames;
    d["callbacks"] = s.callbacks;
    d["underruns"] = s.underruns;
    d["silent_frames"] = s.silent_frames;
    d["dropped_frames"] = s.dropped_frames;
    d["overruns"] = s.overruns;
    d["lost_frames"] = s.lost_frames;
    d["bad_samples"] = s.bad_samples;
    d["bad_features"] = s.bad_features;
    d["input_xruns"] = s.input_xruns;
    d["output_xruns"] = s.output_xruns;
    d["tap_lost"] = s.tap_lost;
    d["input_level"] = s.input_level;
    d["output_level"] = s.output_level;
    d["times_real_time"] = s.times_real_time;
    d["chunk_seconds"] = s.chunk_seconds;
    d["delay"] = s.delay;
    d["input_resampler_delay"] = s.input_resampler_delay;
    d["extractor_delay"] = s.extractor_delay;
    d["lookahead_delay"] = s.lookahead_delay;
    d["output_resampler_delay"] = s.output_resampler_delay;
    d["margin"] = s.margin;
    d["slack"] = s.slack;
    d["clock_factor"] = s.clock_factor;
    d["cpu_seconds"] = s.cpu_seconds;
    d["response"] = times(s.response);
    d["work"] = times(s.work);
    d["jitter"] = times(s.jitter);
    d["callback"] = times(s.callback);
    return d;
  }

  std::uintptr_t address() const { return reinterpret_cast<std::uintptr_t>(open().get()); }

 private:
  static py::dict times(const pyvoc_live_times& t) {
    py::dict d;
    d["count"] = t.count;
    d["p50"] = t.p50;
    d["p99"] = t.p99;
    d["p999"] = t.p999;
    d["most"] = t.most;
    return d;
  }
  Live& open() const {
    if (live_ == nullptr) throw Exception(PYVOC_ERROR_STATE, "the live engine is closed");
    return *live_;
  }

  std::size_t dims_, input_channels_, output_channels_;
  FloatArray probe_;
  std::unique_ptr<Live> live_;
};

}  // namespace

void bind_live(py::module_& module) {
  module.attr("LIVE_BYPASS") = static_cast<int>(PYVOC_LIVE_BYPASS);
  module.attr("LIVE_INPUT_WAITS") = static_cast<int>(PYVOC_LIVE_INPUT_WAITS);
  module.attr("LIVE_OUTPUT_WAITS") = static_cast<int>(PYVOC_LIVE_OUTPUT_WAITS);
  module.attr("LIVE_TWO_CLOCKS") = static_cast<int>(PYVOC_LIVE_TWO_CLOCKS);
  module.attr("LIVE_TAP") = static_cast<int>(PYVOC_LIVE_TAP);
  module.attr("LIVE_FORCE") = static_cast<int>(PYVOC_LIVE_FORCE);
  module.attr("LIVE_FEATURES") = static_cast<int>(PYVOC_LIVE_FEATURES);
  py::class_<PyLive>(module, "Live")
      .def(py::init<const Model&, std::uint32_t, std::uint32_t, std::uint32_t, std::uint32_t,
                    std::uint32_t, std::uint32_t, std::uint32_t, std::uint32_t, float, float, float,
                    std::uint64_t>(),
           py::arg("model"), py::arg("flags"), py::arg("input_rate"), py::arg("output_rate"),
           py::arg("input_channels"), py::arg("output_channels"), py::arg("block"),
           py::arg("chunk_frames"), py::arg("threads"), py::arg("margin"), py::arg("pitch"),
           py::arg("formant"), py::arg("seed"))
      .def("start", &PyLive::start)
      .def("close", &PyLive::close)
      .def("write", &PyLive::write, py::arg("pcm").noconvert())
      .def("write_features", &PyLive::write_features, py::arg("rows").noconvert())
      .def("read", &PyLive::read, py::arg("out").noconvert())
      .def("end_input", &PyLive::end_input)
      .def("set_shift", &PyLive::set_shift, py::arg("pitch"), py::arg("formant"))
      .def("set_probe", &PyLive::set_probe, py::arg("samples").noconvert())
      .def("tap_input", &PyLive::tap_input)
      .def("tap_output", &PyLive::tap_output)
      .def("stats", &PyLive::stats)
      .def_property_readonly("closed", &PyLive::closed)
      .def_property_readonly("address", &PyLive::address);
  // Of pyvoc_live_portaudio, whose user data is a Live's address.
  module.def("live_callback_address",
             [] { return reinterpret_cast<std::uintptr_t>(&pyvoc_live_portaudio); });
}

}  // namespace pyvoc::python
