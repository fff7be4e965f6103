// Feature extraction and dump_data in Python. The GIL is released around native work.
#include <pybind11/functional.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <string>

#include "arrays.h"
#include "dsp/dump_files.h"
#include "dsp/lpc_cepstrum.h"
#include "errors.h"
#include "gil.h"
#include "model.h"
#include "pyvoc/pyvoc.h"

namespace py = pybind11;

namespace pyvoc::python {
namespace {

class Extractor {
 public:
  explicit Extractor(pyvoc_extractor* opened) : handle_(opened) {
    info_.struct_size = sizeof info_;
    check(pyvoc_extractor_get_info(opened, &info_));
  }

  FloatArray push(const FloatArray& pcm) {
    const auto samples = static_cast<std::size_t>(pcm.size());
    // With 0, frames_after tells what flushing would give.
    const std::size_t frames =
        samples == 0 ? 0 : pyvoc_extractor_frames_after(handle_.get(), samples);
    FloatArray out({frames, static_cast<std::size_t>(info_.feature_dims)});
    const float* in = pcm.data();
    float* rows = out.mutable_data();
    std::size_t written = 0;
    pyvoc_status status;
    std::string message;
    {
      const Unlocked unlocked;
      status = pyvoc_extractor_push(handle_.get(), in, samples, rows, frames, &written);
      if (status != PYVOC_OK) message = pyvoc_last_error();
    }
    if (status != PYVOC_OK) raise(status, message);
    return out;
  }

  FloatArray flush() {
    const std::size_t frames = pyvoc_extractor_frames_after(handle_.get(), 0);
    FloatArray out({frames, static_cast<std::size_t>(info_.feature_dims)});
    std::size_t written = 0;
    check(pyvoc_extractor_flush(handle_.get(), out.mutable_data(), frames, &written));
    return out;
  }

  void reset() { check(pyvoc_extractor_reset(handle_.get())); }

  const pyvoc_extractor_info& info() const { return info_; }

 private:
  struct Close {
    void operator()(pyvoc_extractor* e) const { pyvoc_extractor_close(e); }
  };
  std::unique_ptr<pyvoc_extractor, Close> handle_;
  pyvoc_extractor_info info_{};
};

std::unique_ptr<Extractor> open_layout(const std::string& layout) {
  pyvoc_extractor* opened = nullptr;
  check(pyvoc_extractor_open(layout.c_str(), &opened));
  return std::make_unique<Extractor>(opened);
}

std::unique_ptr<Extractor> open_for_model(const Model& model) {
  pyvoc_extractor* opened = nullptr;
  check(pyvoc_extractor_open_for_model(model.get(), &opened));
  return std::make_unique<Extractor>(opened);
}

// Names and values as in pyvoc.container.mel.MelRecipe.
std::unique_ptr<Extractor> open_mel(std::uint32_t sample_rate, std::uint32_t hop_length,
                                    std::uint32_t window_length, std::uint32_t fft_length,
                                    std::uint32_t bands, float fmin, float fmax,
                                    const std::string& log, float floor, std::uint32_t power,
                                    const std::string& padding, std::uint32_t pad, bool normalized,
                                    float ref_db, float min_db, float epsilon) {
  pyvoc_mel_recipe r{};
  r.struct_size = sizeof r;
  r.sample_rate = sample_rate;
  r.hop_length = hop_length;
  r.window_length = window_length;
  r.fft_length = fft_length;
  r.bands = bands;
  r.fmin = fmin;
  r.fmax = fmax;
  r.log = log == "ln" ? PYVOC_MEL_LN : log == "log10" ? PYVOC_MEL_LOG10 : PYVOC_MEL_DB;
  r.floor = floor;
  r.power = power;
  r.padding = padding == "reflect" ? PYVOC_MEL_REFLECT : PYVOC_MEL_ZERO;
  r.pad = pad;
  r.normalized = normalized ? 1 : 0;
  r.ref_db = ref_db;
  r.min_db = min_db;
  r.epsilon = epsilon;
  pyvoc_extractor* opened = nullptr;
  check(pyvoc_extractor_open_mel(&r, &opened));
  return std::make_unique<Extractor>(opened);
}

// cepstrum [frames, 18] -> LPC [frames, 16].
FloatArray lpc_from_cepstrum(const FloatArray& cepstrum) {
  if (cepstrum.ndim() != 2 || cepstrum.shape(1) != dsp::kBands) {
    throw py::value_error("expected cepstra [frames, 18]");
  }
  const dsp::CepstralAnalysis analysis;
  const auto frames = static_cast<std::size_t>(cepstrum.shape(0));
  FloatArray lpc({frames, static_cast<std::size_t>(dsp::kLpcOrder)});
  for (std::size_t i = 0; i < frames; ++i) {
    analysis.predictor(cepstrum.data() + i * dsp::kBands, lpc.mutable_data() + i * dsp::kLpcOrder);
  }
  return lpc;
}

// The progress callback is also where Ctrl-C takes effect; the outputs are then left as they were.
py::dict dump_data(const std::string& speech, const std::string& features,
                   const std::optional<std::string>& data, const std::string& layout,
                   std::uint32_t seed, std::uint64_t frames, const py::object& progress) {
  dsp::DumpOptions options;
  if (layout != "lpcnet36" && layout != "lpcnet55") {
    raise(PYVOC_ERROR_ARGUMENT, "layout is '" + layout + "'; expected lpcnet36 or lpcnet55");
  }
  options.recipe = layout == "lpcnet36" ? dsp::Recipe::kLatest : dsp::Recipe::k2019;
  options.seed = seed;
  options.frames = frames;
  options.progress = [&progress](std::uint64_t done, std::uint64_t expected) {
    const Locked locked;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    if (!progress.is_none()) progress(done, expected);
  };
  const auto result = [&] {
    const Unlocked unlocked;
    return data ? dsp::dump_train(speech, features, *data, options)
                : dsp::dump_test(speech, features, options);
  }();
  if (!result.ok()) {
    raise(static_cast<pyvoc_status>(result.status().code()), result.status().message());
  }
  const dsp::DumpReport& report = result.value();
  py::dict out;
  out["frames"] = report.frames;
  out["rows"] = report.rows;
  out["passes"] = report.passes;
  out["dims"] = report.row_size;
  return out;
}

}  // namespace

void bind_extractor(py::module_& module) {
  py::class_<Extractor>(module, "Extractor")
      .def(py::init(&open_layout), py::arg("layout"))
      .def_static("for_model", &open_for_model, py::arg("model"))
      .def_static("for_mel", &open_mel, py::arg("sample_rate"), py::arg("hop_length"),
                  py::arg("window_length"), py::arg("fft_length"), py::arg("bands"),
                  py::arg("fmin"), py::arg("fmax"), py::arg("log"), py::arg("floor"),
                  py::arg("power"), py::arg("padding"), py::arg("pad"), py::arg("normalized"),
                  py::arg("ref_db"), py::arg("min_db"), py::arg("epsilon"))
      .def("push", &Extractor::push, py::arg("pcm").noconvert())
      .def("flush", &Extractor::flush)
      .def("reset", &Extractor::reset)
      .def_property_readonly("sample_rate", [](const Extractor& e) { return e.info().sample_rate; })
      .def_property_readonly("hop_length", [](const Extractor& e) { return e.info().hop_length; })
      .def_property_readonly("dims", [](const Extractor& e) { return e.info().feature_dims; })
      .def_property_readonly("latency_samples",
                             [](const Extractor& e) { return e.info().latency_samples; });
  module.def("lpc_from_cepstrum", &lpc_from_cepstrum, py::arg("cepstrum").noconvert());
  module.def("dump_data", &dump_data, py::arg("speech"), py::arg("features"), py::arg("data"),
             py::arg("layout"), py::arg("seed"), py::arg("frames"), py::arg("progress"));
}

}  // namespace pyvoc::python
