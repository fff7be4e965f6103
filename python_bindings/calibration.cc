// pyvoc._pyvoc.Calibration: what the layers of a model get, for int8 quantisation.
#include <pybind11/numpy.h>

#include <string>
#include <vector>

#include "api/handles.h"
#include "arrays.h"
#include "errors.h"
#include "gil.h"
#include "model.h"

namespace py = pybind11;

namespace pyvoc::python {
namespace {

class Calibration {
 public:
  explicit Calibration(const Model& model) : vocoder_(model.get()->vocoder) {}

  // Adds one utterance [frames, feature_dims].
  void add(const FloatArray& features) {
    const auto dims = static_cast<std::size_t>(vocoder_->info().feature_dims);
    check_frames(features, dims);
    const Matrix<const float> rows(features.data(), static_cast<std::size_t>(features.shape(0)),
                                   dims, static_cast<std::size_t>(features.shape(1)));
    for (std::size_t i = 0; i < rows.rows(); ++i) {
      if (!vocoder_->valid_frame(rows[i].data())) {
        raise(PYVOC_ERROR_FEATURE, "frame " + std::to_string(i) + " has absurd values");
      }
    }
    Status status;
    {
      const Unlocked unlocked;
      status = vocoder_->observe(rows, seen_);
    }
    if (!status.ok()) raise(PYVOC_ERROR_UNSUPPORTED, status.message());
  }

  // From now on, ranges stay and values are counted in so many equal parts of them.
  void count_in(std::size_t parts) {
    for (models::Activations& seen : seen_) {
      seen.histogram.assign(parts, 0);
      seen.squares = 0.0;
      seen.count = 0;
    }
  }

  // {layer: ([4, channels]: lows, highs, sums of squares, numbers of values;
  // histograms [channels, parts])}
  py::dict layers() const {
    py::dict found;
    for (std::size_t first = 0; first < seen_.size();) {
      std::size_t end = first;
      while (end < seen_.size() && seen_[end].layer == seen_[first].layer) ++end;
      const std::size_t channels = end - first, parts = seen_[first].histogram.size();
      py::array_t<double> figures({std::size_t{4}, channels});
      py::array_t<std::uint64_t> histograms({channels, parts});
      for (std::size_t c = 0; c < channels; ++c) {
        const models::Activations& seen = seen_[first + c];
        const double values[4] = {seen.low, seen.high, seen.squares,
                                  static_cast<double>(seen.count)};
        for (std::size_t i = 0; i < 4; ++i) figures.mutable_at(i, c) = values[i];
        for (std::size_t p = 0; p < parts; ++p) histograms.mutable_at(c, p) = seen.histogram[p];
      }
      found[seen_[first].layer.c_str()] = py::make_tuple(std::move(figures), std::move(histograms));
      first = end;
    }
    return found;
  }

 private:
  std::shared_ptr<const models::Vocoder> vocoder_;
  std::vector<models::Activations> seen_;
};

}  // namespace

void add_calibration(py::module_& module) {
  py::class_<Calibration>(module, "Calibration")
      .def(py::init<const Model&>(), py::arg("model"))
      .def("add", &Calibration::add, py::arg("features").noconvert())
      .def("count_in", &Calibration::count_in, py::arg("parts"))
      .def("layers", &Calibration::layers);
}

}  // namespace pyvoc::python
