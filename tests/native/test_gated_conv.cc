// GatedConv: the plain sum's values, and the same bits whatever the cuts and the threads.
#include "kernel_checks.h"
#include "kernels/resolve.h"
#include "nn/gated_conv.h"

namespace pyvoc::nn {
namespace {

using kernels::testing::Buffer;
using kernels::testing::Random;

constexpr int kUnits = 40, kWidth = 48, kBands = 20, kConditionWidth = 32;
constexpr int kRows = 700;

class GatedConvTest : public ::testing::TestWithParam<int> {  // a dilation
 protected:
  int dilation() const { return GetParam(); }

  void SetUp() override {
    const auto table = kernels::active_table();
    ASSERT_TRUE(table.ok());
    ConvSource conv;
    conv.data = weights_.data();
    conv.bias = bias_.data();
    conv.outputs = 2 * kUnits;
    conv.inputs = kUnits;
    conv.taps = GatedConv::kTaps;
    ConvSource condition = conv;
    condition.data = condition_weights_.data();
    condition.inputs = kBands;
    condition.taps = 1;
    const auto packed = GatedConv::pack(conv, condition, dilation(), *table.value(), arena_);
    ASSERT_TRUE(packed.ok()) << packed.status().message();
    conv_ = packed.value();
    ASSERT_TRUE(conv_.paired());
    x_ = Buffer<float>(static_cast<std::size_t>(kRows + 2 * dilation()) * kWidth);
    c_ = Buffer<float>(static_cast<std::size_t>(kRows) * kConditionWidth);
    fill(x_, kWidth, kUnits);
    fill(c_, kConditionWidth, kBands);
  }

  // Rows of `width` numbers, `used` of them not zero.
  void fill(Buffer<float>& rows, int width, int used) {
    for (std::size_t i = 0; i < rows.size(); ++i) {
      rows[i] = static_cast<int>(i % static_cast<std::size_t>(width)) < used
                    ? random_.uniform(-1.0f, 1.0f)
                    : 0.0f;
    }
  }
  const float* row(std::int64_t t) const { return x_.data() + (t + dilation()) * kWidth; }

  // The rows, up to `step` at a time.
  std::vector<float> run(int step, int threads) {
    Team team(threads);
    Arena arena;
    float* kept = arena.allocate<float>(conv_.kept());
    float* scratch = arena.allocate<float>(conv_.scratch());
    std::vector<float> out(std::size_t{kRows} * kWidth);
    for (std::int64_t t = 0; t < kRows;) {
      const int rows = static_cast<int>(std::min<std::int64_t>(step, kRows - t));
      kernels::ConvOutput what;
      what.value = out.data() + t * kWidth;
      conv_.run(team, row(t), c_.data() + t * kConditionWidth, t, rows, what, kept, scratch);
      t += rows;
    }
    return out;
  }

  Random random_{12};
  Buffer<float> weights_ =
      kernels::testing::random_buffer(std::size_t{2} * kUnits * kUnits * GatedConv::kTaps, random_);
  Buffer<float> condition_weights_ =
      kernels::testing::random_buffer(std::size_t{2} * kUnits * kBands, random_);
  Buffer<float> bias_ = kernels::testing::random_buffer(2 * kUnits, random_);
  Buffer<float> x_{0}, c_{0};
  Arena arena_;
  GatedConv conv_;
};

TEST_P(GatedConvTest, IsThePlainSum) {
  const std::vector<float> found = run(GatedConv::kMostRows, 1);
  for (std::int64_t t = 0; t < kRows; ++t) {
    for (int u = 0; u < kUnits; ++u) {
      kernels::testing::Sum sums[2];
      for (int half = 0; half < 2; ++half) {
        const std::size_t o = static_cast<std::size_t>(half * kUnits + u);
        sums[half].add(2.0 * double{bias_[o]});  // of both products
        for (int tap = 0; tap < GatedConv::kTaps; ++tap) {
          const float* x = row(t + (tap - 1) * dilation());
          for (int i = 0; i < kUnits; ++i) {
            sums[half].add(double{weights_[(o * kUnits + static_cast<std::size_t>(i)) * 3 +
                                           static_cast<std::size_t>(tap)]} *
                           double{x[i]});
          }
        }
        for (int i = 0; i < kBands; ++i) {
          sums[half].add(double{condition_weights_[o * kBands + static_cast<std::size_t>(i)]} *
                         double{c_[static_cast<std::size_t>(t * kConditionWidth + i)]});
        }
      }
      const double expected = std::tanh(sums[0].value) / (1.0 + std::exp(-sums[1].value));
      const double magnitude = sums[0].magnitude + 0.25 * sums[1].magnitude;
      ASSERT_NEAR(found[static_cast<std::size_t>(t * kWidth + u)], expected,
                  1e-6 + 8 * kernels::testing::kUnitRoundoff * magnitude)
          << "row " << t << ", unit " << u;
    }
  }
}

TEST_P(GatedConvTest, CutsAndThreadsChangeNoBit) {
  const std::vector<float> whole = run(GatedConv::kMostRows, 1);
  for (const int step : {1, 2, 7, 32, 100, 255}) {
    ASSERT_EQ(run(step, 1), whole) << step << " rows";
  }
  ASSERT_EQ(run(GatedConv::kMostRows, 3), whole);
  ASSERT_EQ(run(31, 2), whole);
}

// bfloat16 weights are not multiplied in pairs: the same weights as float32 give nearly the same.
// Inputs are such numbers too, so that nothing is rounded where tiers multiply no others.
TEST_P(GatedConvTest, Bfloat16IsMultipliedPlainly) {
  const auto table = kernels::active_table();
  std::vector<kernels::Bf16> halves, condition_halves, input_halves;
  const auto halve = [](Buffer<float>& from, std::vector<kernels::Bf16>& to) {
    to.resize(from.size());
    for (std::size_t i = 0; i < to.size(); ++i) {
      std::uint32_t bits;
      std::memcpy(&bits, &from[i], sizeof bits);
      to[i] = static_cast<kernels::Bf16>(bits >> 16);
      from[i] = kernels::bf16_to_float(to[i]);
    }
  };
  halve(weights_, halves);
  halve(condition_weights_, condition_halves);
  ASSERT_NO_FATAL_FAILURE(SetUp());
  halve(x_, input_halves);
  halve(c_, input_halves);
  ConvSource conv;
  conv.type = backends::Weights::kBf16;
  conv.data = halves.data();
  conv.bias = bias_.data();
  conv.outputs = 2 * kUnits;
  conv.inputs = kUnits;
  conv.taps = GatedConv::kTaps;
  ConvSource condition = conv;
  condition.data = condition_halves.data();
  condition.inputs = kBands;
  condition.taps = 1;
  const auto packed = GatedConv::pack(conv, condition, dilation(), *table.value(), arena_);
  ASSERT_TRUE(packed.ok());
  ASSERT_FALSE(packed.value().paired());
  const std::vector<float> expected = run(GatedConv::kMostRows, 1);
  conv_ = packed.value();
  const std::vector<float> found = run(GatedConv::kMostRows, 1);
  const double gates =  // as precise as the inputs, then
      table.value()->bf16_products ? 2 * kernels::testing::kTanhFast : 0.0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    ASSERT_NEAR(found[i], expected[i], 2e-5 + gates);
  }
  ASSERT_EQ(run(33, 2), found);
}

INSTANTIATE_TEST_SUITE_P(Dilations, GatedConvTest, ::testing::Values(1, 2, 3, 8, 16, 64, 128, 300));

}  // namespace
}  // namespace pyvoc::nn
