// The convolutions of a MelGAN of the published size on every backend of this build, in turns, by
// one thread: multiply-adds per nanosecond (GMAC/s), which the costs in csrc/backends come from.
//
//     conv_backends [ROUNDS]        9 by default; pin it: taskset -c 1 conv_backends
//
// Rows per call are those of a push of 16 frames. A figure is the median over the rounds, of the
// ratio too.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "base/cpu.h"
#include "kernels/resolve.h"
#include "nn/conv.h"

namespace pyvoc {
namespace {

using backends::Weights;
using Clock = std::chrono::steady_clock;

struct Shape {
  const char* name;
  int outputs, inputs, taps, sources;  // sources of `inputs` channels side by side
  bool transposed;
  int rows, rows_i8;  // of outputs per call
};

const Shape kShapes[] = {
    {"conv_in", 512, 80, 7, 1, false, 16, 16},
    {"stage.0.up", 256, 512, 16, 1, true, 16, 16},
    {"stage.0.conv", 256, 256, 3, 1, false, 128, 128},
    {"stage.0.out+shortcut", 256, 256, 1, 2, false, 128, 128},
    {"stage.1.up", 128, 256, 16, 1, true, 48, 128},
    {"stage.1.conv", 128, 128, 3, 1, false, 384, 1024},
    {"stage.1.out+shortcut", 128, 128, 1, 2, false, 384, 1024},
    {"stage.2.up", 64, 128, 4, 1, true, 384, 1024},
    {"stage.2.conv", 64, 64, 3, 1, false, 768, 2048},
    {"stage.2.out+shortcut", 64, 64, 1, 2, false, 768, 2048},
    {"stage.3.up", 32, 64, 4, 1, true, 768, 2048},
    {"stage.3.conv", 32, 32, 3, 1, false, 1536, 4096},
    {"stage.3.out+shortcut", 32, 32, 1, 2, false, 1536, 4096},
};

// Weights, inputs and outputs of one layer.
class Layer {
 public:
  Layer(const Shape& shape, Weights type) : shape_(shape), type_(type) {
    std::mt19937 engine(1);
    const int columns = shape.sources * shape.inputs * (shape.transposed ? 2 : shape.taps);
    const std::size_t weights = std::size_t(shape.outputs) * shape.inputs * shape.taps;
    outputs_ = shape.transposed ? shape.outputs * shape.taps / 2 : shape.outputs;
    rows_ = type == Weights::kI8 ? shape.rows_i8 : shape.rows;
    macs_ = double(outputs_) * columns * rows_;
    const auto draw = [&] { return float(engine() >> 8) * 0x1p-23f - 1.0f; };
    f32_.resize(weights);
    bf16_.resize(weights);
    i8_.resize(weights);
    for (std::size_t i = 0; i < weights; ++i) {
      f32_[i] = 0.1f * draw();
      bf16_[i] = static_cast<std::uint16_t>(0x3c00 + engine() % 512 + engine() % 2 * 0x8000);
      i8_[i] = static_cast<std::int8_t>(engine() % 129 - 64);
    }
    bias_.assign(outputs_, 0.1f);
    scale_.assign(outputs_, 1e-4f);
    zero_.assign(shape.inputs, 127.0f);
    inverse_.assign(outputs_, 50.0f);
    offset_.assign(outputs_, 0.0f);
    x_f32_.resize(buffer_size());
    x_u8_.resize(buffer_size());
    for (float& x : x_f32_) x = draw();
    for (std::uint8_t& x : x_u8_) x = static_cast<std::uint8_t>(engine() % 255);
    value_.resize(std::size_t(rows_) * outputs_);
    active_.resize(value_.size());
    value_u8_.resize(value_.size());
    active_u8_.resize(value_.size());
  }

  double macs() const { return macs_; }

  Result<nn::Conv> pack(Arena& arena) const {
    nn::ConvSource source;
    source.type = type_;
    source.data = type_ == Weights::kF32    ? static_cast<const void*>(f32_.data())
                  : type_ == Weights::kBf16 ? static_cast<const void*>(bf16_.data())
                                            : static_cast<const void*>(i8_.data());
    source.outputs = shape_.outputs;
    source.inputs = shape_.inputs;
    source.taps = shape_.taps;
    source.transposed = shape_.transposed;
    source.bias = bias_.data();
    source.scale = scale_.data();
    source.input_zero = zero_.data();
    const kernels::KernelTable& table = *kernels::active_table().value();
    if (shape_.transposed)
      return nn::Conv::pack_transposed(source, source.taps / 2, false, table, arena);
    return nn::Conv::pack(std::vector<nn::ConvSource>(std::size_t(shape_.sources), source), table,
                          arena);
  }

  void run(const nn::Conv& conv) {
    kernels::ConvOutput out;
    out.leak = 0.2f;
    if (type_ != Weights::kI8) {
      out.value = value_.data();
      out.active = active_.data();
      return conv.run(team_, input(x_f32_.data()), rows_, out);
    }
    out.value_u8 = value_u8_.data();
    out.active_u8 = active_u8_.data();
    out.value_inverse = out.active_inverse = inverse_.data();
    out.value_offset = out.active_offset = offset_.data();
    conv.run(team_, input(x_u8_.data()), rows_, out);
  }

 private:
  static constexpr int kDilation = 3;

  std::size_t buffer_size() const {
    return std::size_t(rows_ + shape_.taps * kDilation + 40) * shape_.inputs * shape_.sources;
  }

  // Taps side by side, or a dilation apart, or one source behind the other.
  template <typename X>
  kernels::ConvInput<X> input(const X* x) const {
    const int n = shape_.inputs;
    kernels::ConvInput<X> in;
    in.segments = 1;
    if (shape_.transposed || shape_.taps == 7) {
      in.base[0] = x;
      in.stride[0] = n;
      in.cols[0] = n * (shape_.transposed ? 2 : shape_.taps);
      return in;
    }
    in.segments = shape_.taps * shape_.sources;
    for (int s = 0; s < in.segments; ++s) {
      in.base[s] = x + std::ptrdiff_t{s} * n * (shape_.sources == 1 ? kDilation : rows_);
      in.stride[s] = in.cols[s] = n;
    }
    return in;
  }

  const Shape& shape_;
  Weights type_;
  int outputs_ = 0, rows_ = 0;
  double macs_ = 0;
  Team team_{1};
  std::vector<float> f32_, bias_, scale_, zero_, inverse_, offset_, x_f32_, value_, active_;
  std::vector<std::uint16_t> bf16_;
  std::vector<std::int8_t> i8_;
  std::vector<std::uint8_t> x_u8_, value_u8_, active_u8_;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

double rate(Layer& layer, const nn::Conv& conv) {
  const Clock::time_point start = Clock::now();
  double elapsed = 0;
  int calls = 0;
  do {
    layer.run(conv);
    ++calls;
    elapsed = std::chrono::duration<double>(Clock::now() - start).count();
  } while (elapsed < 0.02);
  return layer.macs() * calls / elapsed / 1e9;
}

int main(int rounds) {
  const auto table = kernels::active_table();
  if (!table.ok()) {
    std::fprintf(stderr, "%s\n", table.status().message().c_str());
    return 1;
  }
  std::vector<const backends::Backend*> found;
  std::printf("%s, tier %s\n", cpu_name().c_str(), table.value()->tier);
  for (const backends::Backend* backend : backends::backends()) {
    const std::string why = backend->unavailable();
    if (!why.empty()) std::printf("%s: %s\n", backend->name(), why.c_str());
    if (!backend->about().empty()) std::printf("%s\n", backend->about().c_str());
    if (why.empty()) found.push_back(backend);
  }
  std::printf("\n| layer | outputs x inputs | weights |");
  for (const auto* backend : found) std::printf(" %s GMAC/s |", backend->name());
  std::printf(" ratio | chosen |\n| --- | --- | --- |");
  for (std::size_t i = 0; i < found.size(); ++i) std::printf(" --- |");
  std::printf(" --- | --- |\n");
  for (const Weights type : {Weights::kF32, Weights::kBf16, Weights::kI8}) {
    for (const Shape& shape : kShapes) {
      if (type == Weights::kI8 && &shape == kShapes) continue;  // conv_in is never int8
      Layer layer(shape, type);
      Arena arena;
      std::vector<nn::Conv> convs;
      for (const auto* backend : found) {
        setenv("PYVOC_BACKEND", backend->name(), 1);
        const Result<nn::Conv> conv = layer.pack(arena);
        if (!conv.ok()) {
          std::fprintf(stderr, "%s\n", conv.status().message().c_str());
          return 1;
        }
        convs.push_back(conv.value());
        layer.run(convs.back());
      }
      unsetenv("PYVOC_BACKEND");
      std::vector<std::vector<double>> rates(found.size());
      std::vector<double> ratios;
      for (int round = 0; round < rounds; ++round) {
        for (std::size_t b = 0; b < found.size(); ++b) {
          rates[b].push_back(rate(layer, convs[b]));
        }
        ratios.push_back(rates.back().back() / rates[0].back());
      }
      const backends::MatVec& d = convs[0].description();
      const auto chosen = backends::choose(d);
      std::printf("| %s | %d x %d | %s |", shape.name, d.rows, d.cols,
                  backends::weights_name(type));
      for (const auto& values : rates) std::printf(" %.0f |", median(values));
      std::printf(" %.2f | %s |\n", median(ratios), chosen.ok() ? chosen.value()->name() : "none");
      std::fflush(stdout);
    }
  }
  return 0;
}

}  // namespace
}  // namespace pyvoc

int main(int argc, char** argv) { return pyvoc::main(argc > 1 ? std::atoi(argv[1]) : 9); }
