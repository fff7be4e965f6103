// pyvoc._pyvoc.testing.kernel_rate: how fast a dense kernel of the active table runs on a matrix of
// chosen size. `pyvoc bench` takes the machine's peak and its read bandwidth from it. Not part of
// the API.
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "base/arena.h"
#include "errors.h"
#include "kernels/resolve.h"
#include "model.h"

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

double kernel_rate(const std::string& slot, int panels, int cols, double seconds) {
  if (panels < 1 || panels > kMostPanels || cols < 4 || cols > kMostCols || cols % 4 != 0) {
    raise(PYVOC_ERROR_ARGUMENT, "kernel_rate: panels or cols out of range, or cols % 4");
  }
  if (slot != "dense_f32" && slot != "dense_bf16" && slot != "dense_i8") {
    raise(PYVOC_ERROR_ARGUMENT,
          "kernel_rate: slot '" + slot + "' is not dense_f32, dense_bf16 or dense_i8");
  }
  Result<const kernels::KernelTable*> table = kernels::active_table();
  if (!table.ok()) raise(PYVOC_ERROR_UNSUPPORTED, table.status().message());
  const kernels::KernelTable& k = *table.value();
  Arena arena;
  const auto rows = static_cast<std::size_t>(16 * panels);
  const std::size_t size = rows * static_cast<std::size_t>(cols);
  const py::gil_scoped_release release;
  if (slot == "dense_i8") {
    const kernels::Dense<std::int8_t> w = {panels, cols, noise(arena, size, to_i8),
                                           arena.allocate<std::int32_t>(rows)};
    const std::uint8_t* x = noise(arena, static_cast<std::size_t>(cols), to_u8);
    std::int32_t* y = arena.allocate<std::int32_t>(rows);
    return best_rate([&] { k.dense_i8(w, x, y); }, seconds);
  }
  const float* x = noise(arena, static_cast<std::size_t>(cols), to_float);
  float* y = arena.allocate<float>(rows);
  if (slot == "dense_bf16") {
    const kernels::Dense<kernels::Bf16> w = {panels, cols, noise(arena, size, to_bf16), nullptr};
    return best_rate([&] { k.dense_bf16(w, x, nullptr, y); }, seconds);
  }
  const kernels::Dense<float> w = {panels, cols, noise(arena, size, to_float), nullptr};
  return best_rate([&] { k.dense_f32(w, x, nullptr, y); }, seconds);
}

}  // namespace

void bind_kernel_rate(py::module_& testing) {
  testing.def("kernel_rate", &kernel_rate, py::arg("slot"), py::arg("panels"), py::arg("cols"),
              py::arg("seconds"));
}

}  // namespace pyvoc::python
