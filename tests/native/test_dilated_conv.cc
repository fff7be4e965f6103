// DilatedConv: the plain sum's values, and the same bits whatever the cuts and the threads.
#include "kernel_checks.h"
#include "kernels/resolve.h"
#include "nn/dilated_conv.h"

namespace pyvoc::nn {
namespace {

using kernels::testing::Buffer;
using kernels::testing::Random;

struct Case {
  int taps;
  int dilation;
  RowGrid grid;
  bool tiled;
  int channels = 48;  // few: rows are narrow

  bool narrow() const { return channels < kNarrow; }
  int width() const { return narrow() ? kNarrow : channels; }
};

std::string name_of(const ::testing::TestParamInfo<Case>& info) {
  return "taps" + std::to_string(info.param.taps) + "_dilation" +
         std::to_string(info.param.dilation) + "_rows" + std::to_string(info.param.grid.rows) +
         "_delay" + std::to_string(info.param.grid.delay) + "_channels" +
         std::to_string(info.param.channels);
}

class DilatedConvTest : public ::testing::TestWithParam<Case> {
 protected:
  static constexpr int kFrames = 7, kCut = 5;  // the signal ends so many rows after the last frame

  void SetUp() override {
    const auto table = kernels::active_table();
    ASSERT_TRUE(table.ok());
    const Case& c = GetParam();
    rows_ = c.grid.rows * kFrames + kCut;
    ConvSource source;
    source.data = weights_.data();
    source.outputs = source.inputs = c.channels;
    source.taps = c.taps;
    source.bias = bias_.data();
    const auto conv =
        DilatedConv::pack(source, c.dilation, c.grid, c.narrow(), *table.value(), arena_);
    ASSERT_TRUE(conv.ok()) << conv.status().message();
    conv_ = conv.value();
    x_ = kernels::testing::random_buffer(static_cast<std::size_t>(rows_) * width(), random_);
    for (std::size_t i = 0; i < x_.size(); ++i) {
      if (static_cast<int>(i) % width() >= c.channels) x_[i] = 0.0f;
    }
  }

  static int width() { return GetParam().width(); }

  // Rows arrive as `step` frames at a time would bring them; returns every value.
  std::vector<float> run(int step, int threads) {
    const Case& c = GetParam();
    Team team(threads);
    Arena arena;
    const int reach = conv_.reach();
    Rows<float> in(arena, width(), reach, Padding::kReflect, 0, rows_ + 2 * reach, nullptr);
    float* scratch = arena.allocate<float>(conv_.scratch(threads));
    std::vector<float> out(static_cast<std::size_t>(rows_ + 1) * width());  // narrow: one too many
    std::int64_t done = 0;
    for (int frames = step; done < rows_; frames += step) {
      const bool ended = frames > kFrames + 64;
      const std::int64_t arrived =
          ended ? rows_
                : std::min<std::int64_t>(rows_, c.grid.rows * frames - c.grid.delay + reach);
      if (arrived > in.end()) {
        std::memcpy(in.row(in.end()), x_.data() + in.end() * width(),
                    sizeof(float) * static_cast<std::size_t>((arrived - in.end()) * width()));
        in.extend_to(arrived);
      }
      const std::int64_t until = conv_.until(in.ready(ended), ended);
      if (until <= done) continue;
      kernels::ConvOutput what;
      what.value = out.data() + done * width();
      conv_.run(team, in, done, until, what, scratch);
      done = until;
      in.drop_before(done - reach);
    }
    out.resize(static_cast<std::size_t>(rows_) * width());
    return out;
  }

  Random random_{11};
  Buffer<float> weights_ = kernels::testing::random_buffer(
      static_cast<std::size_t>(GetParam().channels) * GetParam().channels * GetParam().taps,
      random_);
  Buffer<float> bias_ = kernels::testing::random_buffer(GetParam().channels, random_);
  Buffer<float> x_{0};
  Arena arena_;
  DilatedConv conv_;
  std::int64_t rows_ = 0;
};

TEST_P(DilatedConvTest, IsThePlainSum) {
  const Case& c = GetParam();
  EXPECT_EQ(conv_.tiled(), c.tiled);
  const std::vector<float> found = run(3, 1);
  const auto mirrored = [&](std::int64_t t) {
    if (t < 0) t = -t;
    return t < rows_ ? t : 2 * (rows_ - 1) - t;
  };
  for (std::int64_t t = 0; t < rows_; ++t) {
    for (int o = 0; o < c.channels; ++o) {
      kernels::testing::Sum sum;
      sum.add(bias_[o]);
      for (int tap = 0; tap < c.taps; ++tap) {
        const std::int64_t row = mirrored(t + (tap - c.taps / 2) * c.dilation);
        for (int i = 0; i < c.channels; ++i) {
          sum.add(double{weights_[static_cast<std::size_t>(o * c.channels + i) * c.taps + tap]} *
                  double{x_[static_cast<std::size_t>(row) * width() + i]});
        }
      }
      ASSERT_NEAR(found[static_cast<std::size_t>(t) * width() + o], sum.value,
                  8 * kernels::testing::kUnitRoundoff * sum.magnitude)
          << "row " << t << " of " << rows_ << ", output " << o;
    }
  }
}

TEST_P(DilatedConvTest, CutsAndThreadsChangeNoBit) {
  const std::vector<float> whole = run(1000, 1);
  for (const int step : {1, 2, 5}) {
    for (const int threads : {1, 3}) {
      ASSERT_EQ(run(step, threads), whole) << step << " frames, " << threads << " threads";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Grids, DilatedConvTest,
    ::testing::Values(Case{3, 1, {8, 37}, true}, Case{3, 3, {8, 40}, false},
                      Case{3, 1, {64, 300}, true}, Case{3, 3, {64, 303}, true},
                      Case{3, 9, {64, 312}, true}, Case{3, 9, {128, 650}, true},
                      Case{3, 3, {256, 1281}, true}, Case{3, 9, {256, 1290}, true},
                      Case{5, 3, {64, 320}, true}, Case{7, 1, {64, 310}, true},
                      Case{7, 3, {128, 640}, true}, Case{11, 1, {8, 40}, true},
                      Case{11, 5, {256, 1301}, true}, Case{1, 1, {64, 300}, false, 3},
                      Case{3, 1, {64, 301}, false, 7}, Case{3, 5, {64, 300}, false, 7},
                      Case{7, 1, {128, 641}, false, 5}, Case{11, 1, {8, 41}, false, 5},
                      Case{15, 3, {64, 310}, false, 2}),
    name_of);

}  // namespace
}  // namespace pyvoc::nn
