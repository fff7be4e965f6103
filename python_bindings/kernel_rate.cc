// pyvoc._pyvoc.testing.kernel_rate: how fast a product of the active table runs on a matrix of
// chosen size. `pyvoc bench` takes the machine's peak and its read bandwidth from it. Not part of
// the API.
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "base/arena.h"
#include "errors.h"
#include "gil.h"
#include "kernels/resolve.h"
#include "model.h"
#include "nn/cells.h"

namespace py = pybind11;

namespace pyvoc::python {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kSliceSeconds = 5e-4;  // shorter than a scheduler's turn
constexpr int kMostPanels = 1 << 12;
constexpr int kMostCols = 1 << 14;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Calls per second in the best slice of `seconds`.
double best_rate(const std::function<void()>& call, double seconds) {
  const Clock::time_point start = Clock::now();
  std::int64_t calls = 1;
  double best = 0.0;
  do {
    const Clock::time_point slice = Clock::now();
    for (std::int64_t i = 0; i < calls; ++i) call();
    const double took = seconds_since(slice);
    const double rate = static_cast<double>(calls) / (took > 1e-9 ? took : 1e-9);
    if (took < kSliceSeconds / 2) {
      calls *= 2;
    } else if (rate > best) {
      best = rate;
    }
  } while (best == 0.0 || seconds_since(start) < seconds);
  return best;
}

// Not zeros: a multiplier that sees zeros draws less power and may run faster than with weights.
template <typename T>
T* noise(Arena& arena, std::size_t n, T (*convert)(std::int32_t)) {
  T* to = arena.allocate<T>(n);
  std::uint32_t state = 1;
  for (std::size_t i = 0; i < n; ++i) {
    state = state * 1664525u + 1013904223u;
    to[i] = convert(static_cast<std::int32_t>(state >> 25) - 64);  // -64..63
  }
  return to;
}

float to_float(std::int32_t x) { return static_cast<float>(x) / 64.0f; }
kernels::Bf16 to_bf16(std::int32_t x) {
  return static_cast<kernels::Bf16>(0x3f00 | (x & 0x7f) | (x < 0 ? 0x8000 : 0));  // +-0.5..1
}
std::int8_t to_i8(std::int32_t x) { return static_cast<std::int8_t>(x); }
std::uint8_t to_u8(std::int32_t x) { return static_cast<std::uint8_t>(x + 127); }

// A dense kernel on one input, or a convolution's on `rows` of them.
class Product {
 public:
  Product(const kernels::KernelTable& kernels, int panels, int cols, int rows)
      : k_(kernels),
        panels_(panels),
        cols_(cols),
        rows_(rows),
        outputs_(static_cast<std::size_t>(16 * panels)),
        inputs_(static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols)) {}

  std::function<void()> call(const std::string& slot) {
    if (slot == "dense_f32") {
      return [this, w = weights(to_float), x = noise(arena_, inputs_, to_float),
              y = output<float>(1)] { k_.dense_f32(w, x, nullptr, y); };
    }
    if (slot == "dense_bf16") {
      return [this, w = weights(to_bf16), x = noise(arena_, inputs_, to_float),
              y = output<float>(1)] { k_.dense_bf16(w, x, nullptr, y); };
    }
    if (slot == "dense_i8") {
      return [this, w = weights(to_i8), x = noise(arena_, inputs_, to_u8),
              y = output<std::int32_t>(1)] { k_.dense_i8(w, x, y); };
    }
    if (slot == "conv_f32") {
      return [this, w = weights(to_float), in = input(to_float), out = sums()] {
        k_.conv_f32(w, in, rows_, out);
      };
    }
    if (slot == "conv_bf16") {
      return [this, w = weights(to_bf16), in = input(to_float), out = sums()] {
        k_.conv_bf16(w, in, rows_, out);
      };
    }
    if (slot == "gated_conv_bf16") {
      return [this, w = weights(to_bf16), job = gated()] { k_.gated_conv_bf16(w, &job, 1); };
    }
    if (slot == "conv_i8") {
      return [this, w = with_cells(weights(to_i8)), in = input(to_u8), out = bytes()] {
        k_.conv_i8(w, in, rows_, out);
      };
    }
    return nullptr;
  }

 private:
  template <typename T>
  kernels::Dense<T> weights(T (*convert)(std::int32_t)) {
    return {panels_, cols_, noise(arena_, outputs_ * static_cast<std::size_t>(cols_), convert),
            arena_.allocate<std::int32_t>(outputs_)};
  }
  kernels::Dense<std::int8_t> with_cells(kernels::Dense<std::int8_t> w) {
    if (k_.cells) w.cells = nn::pack_cells(w, {cols_}, arena_);
    return w;
  }
  template <typename X>
  kernels::ConvInput<X> input(X (*convert)(std::int32_t)) {
    kernels::ConvInput<X> in;
    in.segments = 1;
    in.base[0] = noise(arena_, inputs_, convert);
    in.stride[0] = in.cols[0] = cols_;
    return in;
  }
  template <typename T>
  T* output(int rows) {
    return arena_.allocate<T>(outputs_ * static_cast<std::size_t>(rows));
  }
  kernels::ConvOutput sums() {
    kernels::ConvOutput out;
    out.stride = static_cast<std::ptrdiff_t>(outputs_);
    out.bias = out.scale = output<float>(1);
    out.value = output<float>(rows_);
    return out;
  }
  kernels::GatedRows<float> gated() {
    kernels::GatedRows<float> job;
    job.in = input(to_float);
    job.out = sums();  // rows of half as many numbers, as far apart
    job.rows = rows_;
    return job;
  }
  kernels::ConvOutput bytes() {
    kernels::ConvOutput out = sums();
    out.value = nullptr;
    out.value_u8 = output<std::uint8_t>(rows_);
    out.value_inverse = out.value_offset = out.bias;
    return out;
  }

  const kernels::KernelTable& k_;
  int panels_, cols_, rows_;
  std::size_t outputs_, inputs_;
  Arena arena_;
};

double kernel_rate(const std::string& slot, int panels, int cols, double seconds, int rows) {
  if (panels < 1 || panels > kMostPanels || cols < 16 || cols > kMostCols || cols % 16 != 0 ||
      rows < 1 || rows > kMostPanels) {
    raise(PYVOC_ERROR_ARGUMENT, "kernel_rate: panels, cols or rows out of range, or cols % 16");
  }
  Result<const kernels::KernelTable*> table = kernels::active_table();
  if (!table.ok()) raise(PYVOC_ERROR_UNSUPPORTED, table.status().message());
  Product product(*table.value(), panels, cols, rows);
  const std::function<void()> call = product.call(slot);
  if (!call) raise(PYVOC_ERROR_ARGUMENT, "kernel_rate: slot '" + slot + "' is not dense or conv");
  const Unlocked unlocked;
  return best_rate(call, seconds);
}

}  // namespace

void bind_kernel_rate(py::module_& testing) {
  testing.def("kernel_rate", &kernel_rate, py::arg("slot"), py::arg("panels"), py::arg("cols"),
              py::arg("seconds"), py::arg("rows") = 1);
}

}  // namespace pyvoc::python
