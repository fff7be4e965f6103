// Convolutions of an odd number of taps by the algorithm of Toom and Cook, F(4, r) in Winograd's
// notation (Lavin & Gray 2016, arXiv:1509.09308). A tile is four outputs that lie a dilation apart.
// The taps are divided into parts of three or four; each part's inputs are evaluated, channel by
// channel, at three pairs of points and, where there is a fourth tap, at infinity. Then come 6
// products instead of 12 for three taps, 13 instead of 28 for seven, 20 instead of 44 for eleven.
// Of points tried, these round least.

namespace pyvoc::kernels {
namespace {

// What the points give from the even and odd coefficients of a product over the two other pairs:
// (x^2 - f^2) (x^2 - s^2), f and s being theirs.
struct PairOfPoints {
  float point, others_sum, others_product;
};
constexpr float square(float x) { return x * x; }
constexpr PairOfPoints pair_of_points(int i) {
  const float f = square(kWinogradPoints[(i + 1) % 3]), s = square(kWinogradPoints[(i + 2) % 3]);
  return {kWinogradPoints[i], -(f + s), f * s};
}
constexpr PairOfPoints kPairs[3] = {pair_of_points(0), pair_of_points(1), pair_of_points(2)};

// The coefficients of the product over all pairs, for infinity: x^6 + c4 x^4 + c2 x^2 + c0.
constexpr float kSquare0 = square(kWinogradPoints[0]), kSquare1 = square(kWinogradPoints[1]),
                kSquare2 = square(kWinogradPoints[2]);
constexpr float kInfinity0 = -kSquare0 * kSquare1 * kSquare2,
                kInfinity2 = kSquare0 * kSquare1 + kSquare0 * kSquare2 + kSquare1 * kSquare2,
                kInfinity4 = -(kSquare0 + kSquare1 + kSquare2);

// One tile: v [6 points][parts][channels], then infinity [fours][channels].
inline void transform_tile(const WinogradInput& in, std::int32_t tile, float* v) {
  const std::int32_t parts = winograd_parts(in.taps), fours = winograd_fours(in.taps);
  const std::ptrdiff_t step = in.stride * in.dilation;
  const std::ptrdiff_t point = std::ptrdiff_t{parts} * in.channels;
  const float* first = in.base + std::int64_t{in.tiles[tile].row} * in.stride - in.taps / 2 * step;
  for (std::int32_t part = 0; part < parts; ++part) {
    const std::int32_t tap = winograd_tap(in.taps, part);
    const float* x = first + tap * step;
    // What lies beyond the last tap's inputs counts for nothing, and need not be there.
    const std::int32_t inputs = in.taps - tap + 3;
    for (std::int32_t c = 0; c < in.channels; c += 16) {
      F32x16 d[6];
      for (int i = 0; i < 6; ++i) d[i] = i < inputs ? load(x + c + i * step) : zero();
      for (int i = 0; i < 3; ++i) {
        const PairOfPoints& pair = kPairs[i];
        const F32x16 sum = set1(pair.others_sum), product = set1(pair.others_product);
        const F32x16 even = fma(product, d[0], fma(sum, d[2], d[4]));
        const F32x16 odd = fma(product, d[1], fma(sum, d[3], d[5]));
        const F32x16 scaled = mul(set1(pair.point), even);
        store(v + 2 * i * point + c, add(odd, scaled));
        store(v + (2 * i + 1) * point + c, sub(odd, scaled));
      }
      if (part >= fours) continue;
      const F32x16 d6 = load(x + c + 6 * step);
      store(v + 6 * point + c, fma(set1(kInfinity0), d[0],
                                   fma(set1(kInfinity2), d[2], fma(set1(kInfinity4), d[4], d6))));
    }
    v += in.channels;
  }
}

// Four outputs from the products at the points, which lie `step` apart.
inline void transform_back(const F32x16* m, int step, F32x16 bias, F32x16 (&y)[4]) {
  F32x16 sum[3], gap[3];
  for (int i = 0; i < 3; ++i) {
    sum[i] = add(m[2 * i * step], m[(2 * i + 1) * step]);
    gap[i] = sub(m[2 * i * step], m[(2 * i + 1) * step]);
  }
  y[0] = add(add(sum[0], bias), add(sum[1], sum[2]));
  y[1] = y[2] = bias;
  y[3] = add(m[6 * step], bias);
  for (int i = 0; i < 3; ++i) {
    const float point = kWinogradPoints[i];
    y[1] = fma(set1(point), gap[i], y[1]);
    y[2] = fma(set1(square(point)), sum[i], y[2]);
    y[3] = fma(set1(square(point) * point), gap[i], y[3]);
  }
}

template <int kTiles, int kPanels>
inline void winograd_tiles(const Dense<float>& w, const WinogradInput& in, const float* v,
                           std::int32_t tile, std::int32_t first, const ConvOutput& out) {
  const std::int64_t panel = std::int64_t{16} * w.cols;
  const float* weights = w.weights + first * panel;
  F32x16 products[kWinogradEvaluations][kTiles][kPanels];
  ConvInput<float> points;
  for (int p = 0; p < kWinogradEvaluations; ++p) {
    const std::int32_t parts = p < 6 ? winograd_parts(in.taps) : winograd_fours(in.taps);
    points.base[p] = v + std::int64_t{p} * winograd_parts(in.taps) * in.channels;
    points.stride[p] = w.cols;
    F32x16 acc[kTiles][kPanels];
    unrolled<kTiles>(
        [&](auto t) { unrolled<kPanels>([&](auto n) { acc[t.value][n.value] = zero(); }); });
    RowPointers<kTiles, float> x(points, p, tile);
    for (std::int32_t c = 0; c < parts * in.channels; c += 4) {
      add_columns<kTiles, kPanels>(acc, weights, panel, x);
      weights += 64;
      x.advance(4);
    }
    unrolled<kTiles>([&](auto t) {
      unrolled<kPanels>([&](auto n) { products[p][t.value][n.value] = acc[t.value][n.value]; });
    });
  }
  for (int t = 0; t < kTiles; ++t) {
    const WinogradTile at = in.tiles[tile + t];
    for (int n = 0; n < kPanels; ++n) {
      const std::int32_t column = 16 * (first + n);
      F32x16 y[4];
      transform_back(&products[0][t][n], kTiles * kPanels, load(out.bias + column), y);
      for (std::int32_t i = at.skip; i < 4; ++i) {
        const std::int64_t row = std::int64_t{at.row} + i * in.dilation;
        finish_sum(out, row * out.stride + column, column, y[i]);
      }
    }
  }
}

template <int kTiles, int kPanels>
inline void winograd_some(std::int32_t tiles, const Dense<float>& w, const WinogradInput& in,
                          const float* v, std::int32_t tile, std::int32_t first,
                          const ConvOutput& out) {
  if constexpr (kTiles > 1) {
    if (tiles < kTiles) {
      return winograd_some<kTiles - 1, kPanels>(tiles, w, in, v, tile, first, out);
    }
  }
  winograd_tiles<kTiles, kPanels>(w, in, v, tile, first, out);
}

template <int kPanels>
inline void winograd_panels(const Dense<float>& w, const WinogradInput& in, std::int32_t tiles,
                            const float* v, std::int32_t first, const ConvOutput& out) {
  const std::int32_t groups = (tiles + kTileRows - 1) / kTileRows;
  std::int32_t tile = 0;
  for (std::int32_t i = 0; i < groups; ++i) {
    const std::int32_t height = (tiles - tile + groups - i - 1) / (groups - i);
    winograd_some<kTileRows, kPanels>(height, w, in, v, tile, first, out);
    tile += height;
  }
}

inline void winograd_f32(const Dense<float>& w, const WinogradInput& in, std::int32_t tiles,
                         float* scratch, const ConvOutput& out) PYVOC_RT {
  for (std::int32_t t = 0; t < tiles; ++t) {
    transform_tile(in, t, scratch + std::int64_t{w.cols} * t);
  }
  std::int32_t panel = 0;
  for (; panel + kTilePanels <= w.panels; panel += kTilePanels) {
    winograd_panels<kTilePanels>(w, in, tiles, scratch, panel, out);
  }
  if constexpr (kTilePanels > 1) {
    for (; panel < w.panels; ++panel) winograd_panels<1>(w, in, tiles, scratch, panel, out);
  }
}

}  // namespace
}  // namespace pyvoc::kernels
