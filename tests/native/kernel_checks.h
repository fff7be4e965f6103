// What the kernel tests share: one check per slot of the kernel table, seeded data, and buffers
// whose ends are watched (exact sizes for the address sanitizer, sentinels for everybody).
#ifndef PYVOC_TESTS_NATIVE_KERNEL_CHECKS_H_
#define PYVOC_TESTS_NATIVE_KERNEL_CHECKS_H_

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <random>
#include <vector>

#include "kernels/table.h"

namespace pyvoc::kernels::testing {

// check_<slot>(table): runs the slot over its sizes and compares it with a float64 oracle. Declared
// from the table itself: a slot without a check does not link.
#define PYVOC_DECLARE_CHECK(name, args) void check_##name(const KernelTable& table);
PYVOC_KERNEL_SLOTS(PYVOC_DECLARE_CHECK)
#undef PYVOC_DECLARE_CHECK

constexpr double kUnitRoundoff = 0x1p-24;  // of float32

// `n` elements that start `shift` elements behind a 64-byte boundary and end where the allocation
// ends.
template <typename T>
class Buffer {
 public:
  explicit Buffer(std::size_t n, std::size_t shift = 0)
      : block_(static_cast<T*>(::operator new((n + shift) * sizeof(T), std::align_val_t{64}))),
        data_(block_.get() + shift),
        size_(n) {
    std::memset(block_.get(), 0, (n + shift) * sizeof(T));
  }
  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t size() const { return size_; }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }

 private:
  struct Free {
    void operator()(T* p) const { ::operator delete(p, std::align_val_t{64}); }
  };
  std::unique_ptr<T, Free> block_;
  T* data_;
  std::size_t size_;
};

// An output of `n` elements between two fences that a kernel must leave alone.
template <typename T>
class Fenced {
 public:
  explicit Fenced(std::size_t n, std::size_t shift = 0) : buffer_(n + 2 * kFence, shift), n_(n) {
    std::memset(buffer_.data(), kSentinel, buffer_.size() * sizeof(T));
  }
  T* data() { return buffer_.data() + kFence; }
  T operator[](std::size_t i) const { return buffer_[kFence + i]; }
  T untouched() const {  // what elements hold that nobody wrote
    T sentinel;
    std::memset(&sentinel, kSentinel, sizeof sentinel);
    return sentinel;
  }
  void expect_fences_intact() const {
    const T sentinel = untouched();
    for (std::size_t i = 0; i < kFence; ++i) {
      const std::size_t after = kFence + n_ + i;
      EXPECT_EQ(std::memcmp(&buffer_[i], &sentinel, sizeof(T)), 0) << "written before the output";
      EXPECT_EQ(std::memcmp(&buffer_[after], &sentinel, sizeof(T)), 0)
          << "written behind the output, at " << i;
    }
  }

 private:
  static constexpr std::size_t kFence = 16;
  static constexpr int kSentinel = 0x5a;
  Buffer<T> buffer_;
  std::size_t n_;
};

class Random {
 public:
  explicit Random(std::uint32_t seed) : engine_(seed) {}
  int integer(int low, int high) {  // both included
    return low + static_cast<int>(engine_() % static_cast<std::uint32_t>(high - low + 1));
  }
  float uniform(float low, float high) {
    return low + (high - low) * static_cast<float>(engine_() >> 8) * 0x1p-24f;
  }
  void fill(Buffer<float>& x, float low, float high) {
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = uniform(low, high);
  }

 private:
  std::mt19937 engine_;
};

inline Buffer<float> random_buffer(std::size_t n, Random& random, std::size_t shift = 0) {
  Buffer<float> x(n, shift);
  random.fill(x, -1.0f, 1.0f);
  return x;
}

inline double widen(float x) { return static_cast<double>(x); }
inline double widen(Bf16 x) {
  const std::uint32_t bits = static_cast<std::uint32_t>(x) << 16;
  float f;
  std::memcpy(&f, &bits, 4);
  return static_cast<double>(f);
}

// A random weight as the table stores it.
template <typename T>
T random_weight(Random& random);
template <>
inline float random_weight<float>(Random& random) {
  return random.uniform(-1.0f, 1.0f);
}
template <>
inline Bf16 random_weight<Bf16>(Random& random) {
  const float f = random.uniform(-1.0f, 1.0f);
  std::uint32_t bits;
  std::memcpy(&bits, &f, 4);
  return static_cast<Bf16>(bits >> 16);
}

// int8 activations are 0..254, and neighbouring weights keep |q| <= 127, |q[2i] + q[2i+1]| <= 129:
// half of the draws lie on those limits.
inline std::uint8_t random_activation(Random& random) {
  const int kind = random.integer(0, 3);
  if (kind == 0) return 254;
  if (kind == 1) return 0;
  return static_cast<std::uint8_t>(random.integer(0, 254));
}
inline void random_weight_pair(Random& random, std::int8_t* low, std::int8_t* high) {
  static constexpr int kLimits[][2] = {{127, 2},   {2, 127},    {-127, -2},  {-2, -127}, {64, 65},
                                       {-65, -64}, {127, -127}, {-127, 127}, {0, 0}};
  int a, b;
  if (random.integer(0, 1) == 0) {
    const int* limit = kLimits[random.integer(0, 8)];
    a = limit[0], b = limit[1];
  } else {
    a = random.integer(-127, 127);
    const int least = a < -2 ? -129 - a : -127, most = a > 2 ? 129 - a : 127;
    b = random.integer(least, most);
  }
  *low = static_cast<std::int8_t>(a);
  *high = static_cast<std::int8_t>(b);
}

// A sum of products: its value and the bound on what float32 may make of it, in any order.
struct Sum {
  double value = 0.0;
  double magnitude = 0.0;
  int terms = 0;
  void add(double term) {
    value += term;
    magnitude += std::fabs(term);
    ++terms;
  }
  double bound() const { return (2 * terms + 8) * kUnitRoundoff * magnitude + 1e-37; }
};

// Error bounds of the activations (csrc/kernels/activation.inl), with the rounding of the result.
constexpr double kTanhPrecise = 1.1e-6;
constexpr double kTanhFast = 2.6e-4;  // the largest over the tiers: AVX-512's parabolas
constexpr double sigmoid_bound(double tanh_bound) { return 0.5 * tanh_bound + kUnitRoundoff; }

}  // namespace pyvoc::kernels::testing
#endif  // PYVOC_TESTS_NATIVE_KERNEL_CHECKS_H_
