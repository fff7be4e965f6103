// What the inputs of layers are while a model speaks, channel by channel: what int8 needs to know.
#ifndef PYVOC_MODELS_ACTIVATIONS_H_
#define PYVOC_MODELS_ACTIVATIONS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace pyvoc::models {

struct Activations {  // what one channel of a layer got as its input
  std::string layer;
  float low = 0.0f, high = 0.0f;  // 0 included
  double squares = 0.0;           // their sum, and the number of values
  std::uint64_t count = 0;
  // If not empty: how many values fell into each of its equal parts of low..high, which stay as
  // they are.
  std::vector<std::uint64_t> histogram;

  void add(float x) {
    squares += static_cast<double>(x) * x;
    ++count;
    if (histogram.empty()) {
      low = x < low ? x : low;
      high = x > high ? x : high;
      return;
    }
    const double part = (static_cast<double>(x) - low) / (static_cast<double>(high) - low);
    const double last = static_cast<double>(histogram.size() - 1);
    const double bin = part * (last + 1.0);
    ++histogram[bin > 0.0 ? static_cast<std::size_t>(bin < last ? bin : last) : 0];
  }
};

// Adds n rows of `stride` values each, of which the first `channels` are a layer's.
template <typename X>
void add_rows(const X* rows, std::int64_t n, int stride, int channels, Activations* seen) {
  for (std::int64_t i = 0; i < n; ++i) {
    for (int c = 0; c < channels; ++c) seen[c].add(static_cast<float>(rows[i * stride + c]));
  }
}

// Entries for layers that are asked for one after the other; once made, they stay, and the same
// layers in the same order find them again.
class ActivationList {
 public:
  // `channels`: of all layers together.
  ActivationList(std::vector<Activations>& seen, int channels) : seen_(seen) {
    seen_.resize(static_cast<std::size_t>(channels));
  }

  // The next layer's entries, [channels].
  Activations* layer(const std::string& name, int channels) {
    Activations* first = seen_.data() + taken_;
    for (int c = 0; c < channels; ++c) first[c].layer = name;
    taken_ += static_cast<std::size_t>(channels);
    return first;
  }

 private:
  std::vector<Activations>& seen_;
  std::size_t taken_ = 0;
};

}  // namespace pyvoc::models
#endif  // PYVOC_MODELS_ACTIVATIONS_H_
