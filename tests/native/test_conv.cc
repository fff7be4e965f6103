// Conv, on every backend of this build: a team of any size, dividing rows or panels, gives the bits
// that one thread gives, and so does any division of the rows; all backends give what `native`
// does.
#include <cstdlib>
#include <string>

#include "kernel_checks.h"
#include "kernels/resolve.h"
#include "nn/conv.h"

namespace pyvoc::nn {
namespace {

using kernels::testing::Buffer;
using kernels::testing::Random;

struct Values {
  Buffer<float> value, active;
  Buffer<std::uint8_t> value_u8, active_u8;
};

struct Affine {
  Buffer<float> inverse, offset;
  Affine(int n, Random& random) : inverse(n), offset(n) {
    random.fill(inverse, 20.0f, 60.0f);
    random.fill(offset, -40.0f, 40.0f);
  }
};

// PYVOC_BACKEND while it lives.
class Forced {
 public:
  explicit Forced(const char* backend) {
    if (const char* before = std::getenv(kName)) before_ = before;
    setenv(kName, backend, 1);
  }
  ~Forced() { before_.empty() ? unsetenv(kName) : setenv(kName, before_.c_str(), 1); }

 private:
  static constexpr char kName[] = "PYVOC_BACKEND";
  std::string before_;
};

class ConvTest : public ::testing::TestWithParam<const backends::Backend*> {
 protected:
  static constexpr int kChannels = 80, kOutputs = 144, kTaps = 3;

  template <typename X>
  Values run(const Conv& conv, int rows, int threads, const Buffer<X>& x, int piece = 0) {
    Random random(5);
    const int outputs = conv.outputs();
    const Affine value(outputs, random), active(outputs, random);
    const std::size_t n = static_cast<std::size_t>(rows) * outputs;
    Values found{Buffer<float>(n), Buffer<float>(n), Buffer<std::uint8_t>(n),
                 Buffer<std::uint8_t>(n)};
    kernels::ConvInput<X> in;
    in.segments = kTaps;
    for (int tap = 0; tap < kTaps; ++tap) {
      in.base[tap] = x.data() + tap * kChannels;
      in.stride[tap] = in.cols[tap] = kChannels;
    }
    kernels::ConvOutput out;
    out.leak = 0.2f;
    out.value = found.value.data();
    out.active = found.active.data();
    out.value_u8 = found.value_u8.data();
    out.active_u8 = found.active_u8.data();
    out.value_inverse = value.inverse.data();
    out.value_offset = value.offset.data();
    out.active_inverse = active.inverse.data();
    out.active_offset = active.offset.data();
    Team team(threads);
    if (piece == 0) {
      conv.run(team, in, rows, out);
      return found;
    }
    for (int row = 0; row < rows; row += piece) {
      const int n = std::min(piece, rows - row);
      conv.run(team, in, n, out);
      for (int tap = 0; tap < kTaps; ++tap) in.base[tap] += n * in.stride[tap];
      const std::ptrdiff_t step = std::ptrdiff_t{n} * outputs;
      out.value += step;
      out.active += step;
      out.value_u8 += step;
      out.active_u8 += step;
    }
    return found;
  }

  static void expect_same(const Values& found, const Values& expected, const std::string& what) {
    for (std::size_t i = 0; i < expected.value.size(); ++i) {
      ASSERT_EQ(found.value[i], expected.value[i]) << what;
      ASSERT_EQ(found.active[i], expected.active[i]) << what;
      ASSERT_EQ(found.value_u8[i], expected.value_u8[i]) << what;
      ASSERT_EQ(found.active_u8[i], expected.active_u8[i]) << what;
    }
  }

  // int8 sums are exact, so everything is the same; float sums have another order.
  static void expect_close(const Values& found, const Values& expected, bool exact) {
    if (exact) return expect_same(found, expected, "native");
    for (std::size_t i = 0; i < expected.value.size(); ++i) {
      ASSERT_NEAR(found.value[i], expected.value[i], 2e-5);
      ASSERT_NEAR(found.active[i], expected.active[i], 2e-5);
      ASSERT_NEAR(found.value_u8[i], expected.value_u8[i], 1);
      ASSERT_NEAR(found.active_u8[i], expected.active_u8[i], 1);
    }
  }

  static Result<Conv> pack(const ConvSource& source, const char* backend, Arena& arena) {
    const auto table = kernels::active_table();
    if (!table.ok()) return table.status();
    const Forced forced(backend);
    return source.transposed
               ? Conv::pack_transposed(source, source.taps / 2, false, *table.value(), arena)
               : Conv::pack({source}, *table.value(), arena);
  }

  template <typename X>
  void check(const ConvSource& source, const Buffer<X>& x) {
    const backends::MatVec layer = {backends::Op::kConv, source.type, kOutputs, kChannels * kTaps};
    if (GetParam()->cost(layer) < 0) {
      GTEST_SKIP() << "not by " << GetParam()->name() << " on this processor";
    }
    Arena arena;
    const Result<Conv> conv = pack(source, GetParam()->name(), arena);
    ASSERT_TRUE(conv.ok()) << conv.status().message();
    ASSERT_STREQ(conv.value().backend(), GetParam()->name());
    const Result<Conv> native = pack(source, "native", arena);
    ASSERT_TRUE(native.ok()) << native.status().message();
    for (const int rows : {1, 40, 130, 300}) {  // the last two are divided by rows, or by panels
      const Values alone = run(conv.value(), rows, 1, x);
      expect_close(alone, run(native.value(), rows, 1, x), source.type == backends::Weights::kI8);
      for (const int threads : {2, 3}) {
        expect_same(run(conv.value(), rows, threads, x), alone,
                    std::to_string(rows) + " rows, " + std::to_string(threads) + " threads");
      }
      for (const int piece : {1, 7, 64}) {
        expect_same(run(conv.value(), rows, 1, x, piece), alone,
                    std::to_string(rows) + " rows, " + std::to_string(piece) + " at a time");
      }
    }
  }

  ConvSource source(backends::Weights type, const void* data) const {
    ConvSource source;
    source.type = type;
    source.data = data;
    source.outputs = kOutputs;
    source.inputs = kChannels;
    source.taps = kTaps;
    source.bias = bias_.data();
    source.scale = scale_.data();
    source.input_zero = zero_.data();
    return source;
  }

  static constexpr std::size_t kWeights = std::size_t{kOutputs} * kChannels * kTaps;
  static constexpr std::size_t kInputs = std::size_t{300 + kTaps - 1} * kChannels;
  Random random_{7};
  Buffer<float> bias_ = kernels::testing::random_buffer(kOutputs, random_);
  Buffer<float> scale_{kOutputs}, zero_{kChannels};

  void SetUp() override {
    const std::string why = GetParam()->unavailable();
    if (!why.empty()) GTEST_SKIP() << why;
    random_.fill(scale_, 1e-5f, 2e-5f);
    random_.fill(zero_, 0.0f, 254.0f);
  }
};

TEST_P(ConvTest, TeamsGiveTheSameBitsF32) {
  const Buffer<float> weights = kernels::testing::random_buffer(kWeights, random_);
  const Buffer<float> x = kernels::testing::random_buffer(kInputs, random_);
  check(source(backends::Weights::kF32, weights.data()), x);
}

TEST_P(ConvTest, TeamsGiveTheSameBitsBf16) {
  Buffer<kernels::Bf16> weights(kWeights);
  for (std::size_t i = 0; i < kWeights; ++i) {
    weights[i] = static_cast<kernels::Bf16>(0x3c00 + random_.integer(0, 511));
  }
  const Buffer<float> x = kernels::testing::random_buffer(kInputs, random_);
  check(source(backends::Weights::kBf16, weights.data()), x);
}

TEST_P(ConvTest, TeamsGiveTheSameBitsI8) {
  Buffer<std::int8_t> weights(kWeights);
  for (std::size_t i = 0; i < kWeights; ++i) {
    weights[i] = static_cast<std::int8_t>(random_.integer(-127, 127));
  }
  Buffer<std::uint8_t> x(kInputs);
  for (std::size_t i = 0; i < kInputs; ++i) {
    x[i] = static_cast<std::uint8_t>(random_.integer(0, 254));
  }
  check(source(backends::Weights::kI8, weights.data()), x);
}

INSTANTIATE_TEST_SUITE_P(Backends, ConvTest, ::testing::ValuesIn(backends::backends()),
                         [](const auto& info) { return std::string(info.param->name()); });

}  // namespace
}  // namespace pyvoc::nn
