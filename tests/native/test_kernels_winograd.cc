// Convolutions in tiles: against the plain sum, for tile counts around every tier's
// groups, dilations, odd numbers of panels, rows of a tile that are not wanted.
#include <array>

#include "kernel_checks.h"

namespace pyvoc::kernels::testing {
namespace {

constexpr int kPoints = kWinogradEvaluations;

// What the weights of one output, channel and part are at the points.
void transform(const double (&g)[4], double (&u)[kPoints]) {
  double points[kPoints - 1];
  for (int p = 0; p < kPoints - 1; ++p) {
    points[p] = (p % 2 == 0 ? 1.0 : -1.0) * double{kWinogradPoints[p / 2]};
  }
  for (int p = 0; p < kPoints - 1; ++p) {
    double product = 1.0, sum = 0.0;
    for (int q = 0; q < kPoints - 1; ++q) {
      if (q != p) product *= points[p] - points[q];
    }
    for (int tap = 3; tap >= 0; --tap) sum = sum * points[p] + g[tap];
    u[p] = sum / product;
  }
  u[kPoints - 1] = g[3];
}

}  // namespace

void check_winograd_f32(const KernelTable& table) {
  Random random(6);
  for (const auto& [taps, channels, panels] :
       {std::array{3, 16, 1}, std::array{3, 32, 2}, std::array{3, 80, 5}, std::array{5, 32, 1},
        std::array{7, 16, 5}, std::array{11, 48, 2}}) {
    const int width = 16 * panels, cols = winograd_columns(taps, channels);
    const int parts = winograd_parts(taps), reach = taps / 2;
    Buffer<float> plain = random_buffer(std::size_t(width) * channels * taps, random);
    Buffer<float> weights(std::size_t(width) * cols);
    for (int o = 0; o < width; ++o) {
      for (int i = 0; i < channels; ++i) {
        for (int part = 0; part < parts; ++part) {
          double g[4], u[kPoints];
          const int first = winograd_tap(taps, part);
          const int end = part + 1 < parts ? winograd_tap(taps, part + 1) : taps;
          for (int j = 0; j < 4; ++j) {
            const std::size_t from = (std::size_t(o) * channels + i) * taps + first + j;
            g[j] = first + j < end ? double{plain[from]} : 0.0;
          }
          transform(g, u);
          for (int p = 0; p < kPoints - (part < winograd_fours(taps) ? 0 : 1); ++p) {
            const std::size_t column = std::size_t(p * parts + part) * channels + i;
            weights[(std::size_t(o / 16) * cols + column) * 16 + o % 16] = static_cast<float>(u[p]);
          }
        }
      }
    }
    const Buffer<float> bias = random_buffer(width, random);
    Dense<float> w;
    w.panels = panels;
    w.cols = cols;
    w.weights = weights.data();
    for (const int count : {1, 2, 5, 6, 7, 12, 13, 24}) {
      for (const int dilation : {1, 3}) {
        const int rows = 4 * dilation * ((count + dilation - 1) / dilation);
        const int stride = channels + 16;
        const Buffer<float> x =
            random_buffer(std::size_t(rows + 2 * reach * dilation) * stride, random);
        std::vector<WinogradTile> tiles(count);
        for (int i = 0; i < count; ++i) {
          tiles[i].row = i / dilation * 4 * dilation + i % dilation;
          tiles[i].skip = i % 5 == 4 ? 1 + i % 3 : 0;
        }
        WinogradInput in;
        in.base = x.data() + reach * dilation * stride;
        in.stride = stride;
        in.channels = channels;
        in.dilation = dilation;
        in.taps = taps;
        in.tiles = tiles.data();
        Fenced<float> scratch(std::size_t(count) * cols);
        Fenced<float> value(std::size_t(rows) * (width + 16)),
            active(std::size_t(rows) * (width + 16));
        ConvOutput out;
        out.bias = bias.data();
        out.stride = width + 16;
        out.leak = 0.2f;
        out.value = value.data();
        out.active = active.data();
        table.winograd_f32(w, in, count, scratch.data(), out);

        scratch.expect_fences_intact();
        value.expect_fences_intact();
        active.expect_fences_intact();
        std::vector<bool> wanted(rows);
        for (const WinogradTile& tile : tiles) {
          for (int i = tile.skip; i < 4; ++i) wanted[tile.row + i * dilation] = true;
        }
        for (int r = 0; r < rows; ++r) {
          for (int o = 0; o < width + 16; ++o) {
            const std::size_t at = std::size_t(r) * (width + 16) + o;
            if (!wanted[r] || o >= width) {
              ASSERT_EQ(value[at], value.untouched()) << "row " << r << ", output " << o;
              continue;
            }
            Sum sum;
            sum.add(bias[o]);
            for (int tap = 0; tap < taps; ++tap) {
              for (int i = 0; i < channels; ++i) {
                sum.add(double{plain[(std::size_t(o) * channels + i) * taps + tap]} *
                        double{x[std::size_t(r + tap * dilation) * stride + i]});
              }
            }
            // Some units in the last place of the sum of magnitudes.
            ASSERT_NEAR(value[at], sum.value, 8 * kUnitRoundoff * sum.magnitude)
                << "row " << r << " of " << rows << ", output " << o << ", channels " << channels
                << ", dilation " << dilation;
            const float v = value[at];
            ASSERT_FLOAT_EQ(active[at], v > 0.0f ? v : 0.2f * v);
          }
        }
      }
    }
  }
}

}  // namespace pyvoc::kernels::testing
