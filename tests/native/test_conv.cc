// Conv: a team of any size, dividing rows or panels, gives the bits that one thread gives.
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

class ConvTest : public ::testing::Test {
 protected:
  static constexpr int kChannels = 80, kOutputs = 144, kTaps = 3;

  template <typename X>
  Values run(const Conv& conv, int rows, int threads, const Buffer<X>& x) {
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
    conv.run(team, in, rows, out);
    return found;
  }

  template <typename X>
  void check(const ConvSource& source, const Buffer<X>& x) {
    const auto table = kernels::active_table();
    ASSERT_TRUE(table.ok());
    Arena arena;
    const Result<Conv> conv = Conv::pack({source}, *table.value(), arena);
    ASSERT_TRUE(conv.ok()) << conv.status().message();
    for (const int rows : {1, 40, 130, 300}) {  // the last two are divided by rows, or by panels
      const Values alone = run(conv.value(), rows, 1, x);
      for (const int threads : {2, 3}) {
        const Values shared = run(conv.value(), rows, threads, x);
        for (std::size_t i = 0; i < alone.value.size(); ++i) {
          ASSERT_EQ(shared.value[i], alone.value[i]) << rows << " rows, " << threads << " threads";
          ASSERT_EQ(shared.active[i], alone.active[i]);
          ASSERT_EQ(shared.value_u8[i], alone.value_u8[i]);
          ASSERT_EQ(shared.active_u8[i], alone.active_u8[i]);
        }
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
    random_.fill(scale_, 1e-5f, 2e-5f);
    random_.fill(zero_, 0.0f, 254.0f);
  }
};

TEST_F(ConvTest, TeamsGiveTheSameBitsF32) {
  const Buffer<float> weights = kernels::testing::random_buffer(kWeights, random_);
  const Buffer<float> x = kernels::testing::random_buffer(kInputs, random_);
  check(source(backends::Weights::kF32, weights.data()), x);
}

TEST_F(ConvTest, TeamsGiveTheSameBitsBf16) {
  Buffer<kernels::Bf16> weights(kWeights);
  for (std::size_t i = 0; i < kWeights; ++i) {
    weights[i] = static_cast<kernels::Bf16>(0x3c00 + random_.integer(0, 511));
  }
  const Buffer<float> x = kernels::testing::random_buffer(kInputs, random_);
  check(source(backends::Weights::kBf16, weights.data()), x);
}

TEST_F(ConvTest, TeamsGiveTheSameBitsI8) {
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

}  // namespace
}  // namespace pyvoc::nn
