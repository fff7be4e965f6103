// pyvoc._pyvoc.testing: what parity tests need to see of a model's inside. Not part of the API.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <string>

#include "api/handles.h"
#include "arrays.h"
#include "base/denormals.h"
#include "dsp/pitch_network.h"
#include "gil.h"
#include "kernels/resolve.h"
#include "model.h"
#include "models/fargan/fargan.h"
#include "models/lpcnet/lpcnet.h"
#include "models/wavernn/wavernn.h"

namespace py = pybind11;

namespace pyvoc::python {
namespace {

using models::lpcnet::Condition;
using models::lpcnet::Config;
using models::lpcnet::kLevels;
using models::lpcnet::kLpcOrder;
using models::lpcnet::Lpcnet;
using models::lpcnet::Step;
using models::lpcnet::Synthesis;

template <typename Vocoder>
const Vocoder& inside(const Model& model) {
  const auto* inner = dynamic_cast<const Vocoder*>(model.get()->vocoder.get());
  if (inner == nullptr) raise(PYVOC_ERROR_ARGUMENT, "a model of another architecture");
  return *inner;
}

// Rows of `width` floats.
struct Rows {
  Rows(std::size_t n, int width) : array({n, static_cast<std::size_t>(width)}), width_(width) {}
  void put(std::size_t row, const float* from) {
    std::memcpy(array.mutable_data(static_cast<py::ssize_t>(row), 0), from,
                sizeof(float) * static_cast<std::size_t>(width_));
  }
  // Three gates of a padded [3 * stride] array.
  void put_gates(std::size_t row, const float* from, int stride) {
    const int n = width_ / 3;
    for (int gate = 0; gate < 3; ++gate) {
      std::memcpy(array.mutable_data(static_cast<py::ssize_t>(row), gate * n), from + gate * stride,
                  sizeof(float) * static_cast<std::size_t>(n));
    }
  }
  FloatArray array;
  int width_;
};

// The condition network's tensors for every frame, warm-up included; gate order r, z, n.
py::dict lpcnet_frames(const Model& model, const FloatArray& features) {
  const Lpcnet& net = inside<Lpcnet>(model);
  const Config& c = net.config();
  check_frames(features, static_cast<std::size_t>(c.feature_dims));
  const auto n = static_cast<std::size_t>(features.shape(0));
  Rows conv1(n, c.cond), conv2(n, c.cond), dense1(n, c.cond), cond(n, c.cond);
  Rows gru_a(n, 3 * c.gru_a), gru_b(n, 3 * c.gru_b), lpc(n, kLpcOrder);
  const auto session = net.start(0);
  for (std::size_t i = 0; i < n; ++i) {
    session->begin(features.data(static_cast<py::ssize_t>(i), 0), 1);
    const Condition& state = session->condition();
    conv1.put(i, state.conv1());
    conv2.put(i, state.conv2());
    dense1.put(i, state.dense1());
    cond.put(i, state.cond());
    gru_a.put_gates(i, state.gru_a_input(), nn::padded(c.gru_a));
    gru_b.put_gates(i, state.gru_b_input(), nn::padded(c.gru_b));
    lpc.put(i, state.lpc());
  }
  py::dict out;
  out["conv1"] = conv1.array;
  out["conv2"] = conv2.array;
  out["dense1"] = dense1.array;
  out["cond"] = cond.array;
  out["gru_a_input"] = gru_a.array;
  out["gru_b_input"] = gru_b.array;
  out["lpc"] = lpc.array;
  return out;
}

// Teacher-forced states and logits; `pcm` as for Model.predict.
py::dict lpcnet_steps(const Model& model, const FloatArray& features, const FloatArray& pcm) {
  const Lpcnet& net = inside<Lpcnet>(model);
  const Config& c = net.config();
  check_frames(features, static_cast<std::size_t>(c.feature_dims));
  const auto n = static_cast<std::size_t>(pcm.size());
  Rows gru_a(n, c.gru_a), gru_b(n, c.gru_b), logits(n, kLevels), probabilities(n, kLevels);
  Rows prediction(n, 1);
  py::array_t<int> codes({n, std::size_t{4}});
  const Matrix<const float> rows(features.data(), static_cast<std::size_t>(features.shape(0)),
                                 static_cast<std::size_t>(c.feature_dims),
                                 static_cast<std::size_t>(features.shape(1)));
  const auto visit = [&](std::size_t i, Synthesis& session, const Step& step, int code) {
    gru_a.put(i, step.gru_a);
    gru_b.put(i, step.gru_b);
    prediction.put(i, &step.prediction);
    const auto at = static_cast<py::ssize_t>(i);
    session.distribution(logits.array.mutable_data(at, 0), probabilities.array.mutable_data(at, 0));
    int* row = codes.mutable_data(at, 0);
    row[0] = step.sig, row[1] = step.pred, row[2] = step.exc, row[3] = code;
  };
  net.teacher_force(rows, Span<const float>(pcm.data(), n), visit);
  py::dict out;
  out["codes"] = codes;
  out["prediction"] = prediction.array;
  out["gru_a"] = gru_a.array;
  out["gru_b"] = gru_b.array;
  out["logits"] = logits.array;
  out["probabilities"] = probabilities.array;
  return out;
}

// Teacher-forced states and outputs from the first sample of frame `first` on; the residual
// network's output for each of them.
py::dict wavernn_steps(const Model& model, const FloatArray& features, std::size_t first,
                       const FloatArray& fed) {
  using models::wavernn::Synthesis;
  using models::wavernn::Wavernn;
  const Wavernn& net = inside<Wavernn>(model);
  const models::wavernn::Config& c = net.config();
  check_frames(features, static_cast<std::size_t>(c.bands));
  const auto n = static_cast<std::size_t>(fed.size());
  const auto frames = static_cast<std::size_t>(features.shape(0));
  if (n == 0 || first + (n - 1) / static_cast<std::size_t>(c.hop_length) >= frames) {
    raise(PYVOC_ERROR_ARGUMENT, "samples beyond the frames");
  }
  Rows h1(n, c.rnn), h2(n, c.rnn), aux(n, 4 * c.aux), outputs(n, c.outputs);
  const Matrix<const float> rows(features.data(), frames, static_cast<std::size_t>(c.bands));
  const auto visit = [&](std::size_t i, const Synthesis& session, const float* found) {
    h1.put(i, session.state1().h);
    h2.put(i, session.state2().h);
    aux.put(i, session.conditioning().aux());
    outputs.put(i, found);
  };
  net.teacher_force(rows, first, Span<const float>(fed.data(), n), visit);
  py::dict out;
  out["h1"] = h1.array;
  out["h2"] = h2.array;
  out["aux"] = aux.array;
  out["outputs"] = outputs.array;
  return out;
}

// The samples of a call for each frame, -1..1, after priming with `samples` and their five frames;
// `histories`: what the network looks back on before each call, or nothing.
py::array_t<float> fargan_calls(const Model& model, const FloatArray& samples,
                                const FloatArray& priming, const FloatArray& features,
                                const std::optional<FloatArray>& histories) {
  using namespace models::fargan;
  const Fargan& net = inside<Fargan>(model);
  check_frames(priming, kFeatures);
  check_frames(features, kFeatures);
  const py::ssize_t frames = features.shape(0);
  if (samples.size() != kPriming || priming.shape(0) != kPrimingFrames ||
      (histories && histories->size() != frames * kHistory)) {
    raise(PYVOC_ERROR_ARGUMENT, "320 samples, 5 frames and histories of 256 are expected");
  }
  Rows out(static_cast<std::size_t>(frames), kFrameSize);
  const std::unique_ptr<models::fargan::Synthesis> session = net.start();
  const DenormalGuard guard;
  session->prime(samples.data(), {priming.data(), kPrimingFrames, kFeatures});
  float block[kFrameSize];
  for (py::ssize_t i = 0; i < frames; ++i) {
    if (histories) session->force(histories->data() + i * kHistory);
    session->call(features.data() + i * kFeatures, block);
    out.put(static_cast<std::size_t>(i), block);
  }
  return out.array;
}

// The logits [frames, 180] of a model's network for the pitch, of the phases [frames, 88] and
// correlations [frames, 224] that it hears.
py::array_t<float> pitch_logits(const Model& model, const FloatArray& phases,
                                const FloatArray& correlations) {
  const dsp::PitchNetwork* network = model.get()->vocoder->pitch_network();
  if (network == nullptr) raise(PYVOC_ERROR_ARGUMENT, "a model without a network for the pitch");
  check_frames(phases, dsp::kPhaseFeatures);
  check_frames(correlations, dsp::kPitchLags);
  const py::ssize_t frames = std::min(phases.shape(0), correlations.shape(0));
  Rows out(static_cast<std::size_t>(frames), dsp::kPitchClasses);
  dsp::PitchListener listener(*network, *kernels::active_table().value());
  for (py::ssize_t i = 0; i < frames; ++i) {
    std::copy_n(phases.data(i, 0), dsp::kPhaseFeatures, listener.phases());
    std::copy_n(correlations.data(i, 0), dsp::kPitchLags, listener.correlation());
    out.put(static_cast<std::size_t>(i), listener.step());
  }
  return out.array;
}

// Seconds that each group of a model's layers took to synthesise `features`, on one thread.
py::dict group_seconds(const Model& model, const FloatArray& features) {
  const models::Vocoder& vocoder = *model.get()->vocoder;
  check_frames(features, static_cast<std::size_t>(vocoder.info().feature_dims));
  const Matrix<const float> rows(features.data(), static_cast<std::size_t>(features.shape(0)),
                                 static_cast<std::size_t>(features.shape(1)));
  std::vector<models::GroupTime> groups;
  Status status;
  {
    const Unlocked unlocked;
    const DenormalGuard guard;
    status = vocoder.time_groups(rows, groups);
  }
  if (!status.ok()) raise(PYVOC_ERROR_UNSUPPORTED, status.message());
  py::dict seconds;
  for (const models::GroupTime& group : groups) seconds[group.group.c_str()] = group.seconds;
  return seconds;
}

}  // namespace

void bind_testing(py::module_& module) {
  py::module_ testing = module.def_submodule("testing");
  testing.def("lpcnet_frames", &lpcnet_frames, py::arg("model"), py::arg("features").noconvert());
  testing.def("lpcnet_steps", &lpcnet_steps, py::arg("model"), py::arg("features").noconvert(),
              py::arg("pcm").noconvert());
  testing.def("wavernn_steps", &wavernn_steps, py::arg("model"), py::arg("features").noconvert(),
              py::arg("first"), py::arg("fed").noconvert());
  testing.def("fargan_calls", &fargan_calls, py::arg("model"), py::arg("samples").noconvert(),
              py::arg("priming").noconvert(), py::arg("features").noconvert(),
              py::arg("histories") = py::none());
  testing.def("pitch_logits", &pitch_logits, py::arg("model"), py::arg("phases").noconvert(),
              py::arg("correlations").noconvert());
  testing.def("group_seconds", &group_seconds, py::arg("model"), py::arg("features").noconvert());
  bind_kernel_rate(testing);
}

}  // namespace pyvoc::python
