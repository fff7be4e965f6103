// Three-tap convolutions by the algorithm of Toom and Cook, F(4,3) in Winograd's notation: four
// outputs from six inputs that lie a dilation apart, with 6 products instead of 12. A tile is such
// four rows. Its inputs are transformed channel by channel, multiplied by six transformed matrices,
// and transformed back (Lavin & Gray 2016, arXiv:1509.09308). The points of evaluation are 0,
// +-3/4, +-3/2 and infinity, which round less than 0, +-1, +-2 and infinity.

namespace pyvoc::kernels {
namespace {

constexpr float kNear = kWinogradNear, kFar = kWinogradFar;
constexpr float kNear2 = kNear * kNear, kFar2 = kFar * kFar;

// v[point][channels] of one tile.
inline void transform_tile(const WinogradInput& in, std::int32_t tile, float* v) {
  const std::ptrdiff_t step = in.stride * in.dilation;
  const float* x = in.base + (std::int64_t{in.tiles[tile].row} - in.dilation) * in.stride;
  for (std::int32_t c = 0; c < in.channels; c += 16) {
    const F32x16 d0 = load(x + c), d1 = load(x + c + step), d2 = load(x + c + 2 * step),
                 d3 = load(x + c + 3 * step), d4 = load(x + c + 4 * step),
                 d5 = load(x + c + 5 * step);
    const F32x16 near_even = fma(set1(-kFar2), d2, d4);
    const F32x16 near_odd = mul(set1(kNear), fma(set1(-kFar2), d1, d3));
    const F32x16 far_even = fma(set1(-kNear2), d2, d4);
    const F32x16 far_odd = mul(set1(kFar), fma(set1(-kNear2), d1, d3));
    const F32x16 both = set1(-(kNear2 + kFar2)), product = set1(kNear2 * kFar2);
    const F32x16 points[6] = {fma(product, d0, fma(both, d2, d4)),
                              add(near_even, near_odd),
                              sub(near_even, near_odd),
                              add(far_even, far_odd),
                              sub(far_even, far_odd),
                              fma(product, d1, fma(both, d3, d5))};
    for (int p = 0; p < 6; ++p) store(v + p * in.channels + c, points[p]);
  }
}

// Four outputs from the six products, which lie `step` apart.
inline void transform_back(const F32x16* m, int step, F32x16 bias, F32x16 (&y)[4]) {
  const F32x16 near_sum = add(m[step], m[2 * step]), near_gap = sub(m[step], m[2 * step]);
  const F32x16 far_sum = add(m[3 * step], m[4 * step]), far_gap = sub(m[3 * step], m[4 * step]);
  y[0] = add(add(m[0], bias), add(near_sum, far_sum));
  y[1] = fma(set1(kNear), near_gap, fma(set1(kFar), far_gap, bias));
  y[2] = fma(set1(kNear2), near_sum, fma(set1(kFar2), far_sum, bias));
  y[3] =
      fma(set1(kNear2 * kNear), near_gap, fma(set1(kFar2 * kFar), far_gap, add(m[5 * step], bias)));
}

template <int kTiles, int kPanels>
inline void winograd_tiles(const Dense<float>& w, const WinogradInput& in, const float* v,
                           std::int32_t tile, std::int32_t first, const ConvOutput& out) {
  const std::int64_t panel = std::int64_t{16} * w.cols;
  const float* weights = w.weights + first * panel;
  F32x16 products[6][kTiles][kPanels];
  ConvInput<float> points;
  for (int p = 0; p < 6; ++p) {
    points.base[p] = v + p * in.channels;
    points.stride[p] = 6 * in.channels;
    F32x16 acc[kTiles][kPanels];
    unrolled<kTiles>(
        [&](auto t) { unrolled<kPanels>([&](auto n) { acc[t.value][n.value] = zero(); }); });
    RowPointers<kTiles, float> x(points, p, tile);
    for (std::int32_t c = 0; c < in.channels; c += 4) {
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
                         float* scratch, const ConvOutput& out) noexcept {
  for (std::int32_t t = 0; t < tiles; ++t) {
    transform_tile(in, t, scratch + std::int64_t{6} * in.channels * t);
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
