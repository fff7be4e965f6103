// Three-tap convolutions in tiles: against the plain sum, for tile counts around every tier's
// groups, dilations, odd numbers of panels, rows of a tile that are not wanted.
#include "kernel_checks.h"

namespace pyvoc::kernels::testing {
namespace {

constexpr int kPoints = 6;

// What the weights of one output and channel are at the points.
void transform(const double (&g)[3], double (&u)[kPoints]) {
  const double a = kWinogradNear, b = kWinogradFar;
  const double points[5] = {0.0, a, -a, b, -b};
  for (int p = 0; p < 5; ++p) {
    double product = 1.0;
    for (int q = 0; q < 5; ++q) {
      if (q != p) product *= points[p] - points[q];
    }
    u[p] = (g[0] + g[1] * points[p] + g[2] * points[p] * points[p]) / product;
  }
  u[5] = g[2];
}

}  // namespace

void check_winograd_f32(const KernelTable& table) {
  Random random(6);
  for (const int channels : {16, 32, 80}) {
    for (const int panels : {1, 2, 5}) {
      const int width = 16 * panels, cols = kPoints * channels;
      Buffer<float> plain = random_buffer(std::size_t(width) * channels * 3, random);
      Buffer<float> weights(std::size_t(width) * cols);
      for (int o = 0; o < width; ++o) {
        for (int i = 0; i < channels; ++i) {
          double g[3], u[kPoints];
          for (int tap = 0; tap < 3; ++tap) {
            g[tap] = double{plain[(std::size_t(o) * channels + i) * 3 + tap]};
          }
          transform(g, u);
          for (int p = 0; p < kPoints; ++p) {
            const std::size_t column = std::size_t(p) * channels + i;
            weights[(std::size_t(o / 16) * cols + column) * 16 + o % 16] = static_cast<float>(u[p]);
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
          const Buffer<float> x = random_buffer(std::size_t(rows + 2 * dilation) * stride, random);
          std::vector<WinogradTile> tiles(count);
          for (int i = 0; i < count; ++i) {
            tiles[i].row = i / dilation * 4 * dilation + i % dilation;
            tiles[i].skip = i % 5 == 4 ? 1 + i % 3 : 0;
          }
          WinogradInput in;
          in.base = x.data() + dilation * stride;
          in.stride = stride;
          in.channels = channels;
          in.dilation = dilation;
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
              for (int tap = 0; tap < 3; ++tap) {
                for (int i = 0; i < channels; ++i) {
                  sum.add(double{plain[(std::size_t(o) * channels + i) * 3 + tap]} *
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
}

}  // namespace pyvoc::kernels::testing
