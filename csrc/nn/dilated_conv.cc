#include "nn/dilated_conv.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace pyvoc::nn {

using kernels::ConvInput;
using kernels::ConvOutput;
using kernels::WinogradTile;

namespace {

constexpr int kTileRows = 4;
constexpr int kBatch = 24;  // tiles that a kernel gets at a time

// Multiply-adds of a tile and of a row, for every channel of outputs. What the transformations
// cost besides was measured with 32 to 256 channels.
std::int64_t tile_cost(int taps, int channels) {
  return kernels::winograd_columns(taps, channels) + 95 * kernels::winograd_parts(taps);
}
std::int64_t row_cost(int taps, int channels) { return std::int64_t{taps} * channels; }

// Weights at the points of evaluation, with the factors that undo the inputs' evaluation.
class Transform {
 public:
  Transform() {
    for (int p = 0; p < kFinite; ++p) {
      points_[p] = static_cast<double>(kernels::kWinogradPoints[p / 2]) * (p % 2 == 0 ? 1.0 : -1.0);
    }
    for (int p = 0; p < kFinite; ++p) {
      for (int q = 0; q < kFinite; ++q) {
        if (q != p) scales_[p] *= points_[p] - points_[q];
      }
    }
  }
  void operator()(const double (&g)[4], double (&u)[kernels::kWinogradEvaluations]) const {
    for (int p = 0; p < kFinite; ++p) {
      const double x = points_[p];
      u[p] = (g[0] + x * (g[1] + x * (g[2] + x * g[3]))) / scales_[p];
    }
    u[kFinite] = g[3];
  }

 private:
  static constexpr int kFinite = kernels::kWinogradEvaluations - 1;
  double points_[kFinite];
  double scales_[kFinite] = {1.0, 1.0, 1.0, 1.0, 1.0, 1.0};
};

// A convolution of two rows at a time, each of kNarrow channels: one of [kVector, kVector]. Without
// dilation the rows that both read overlap, and its taps are two rows each; otherwise each row has
// its own and they lie side by side.
class TwoRows {
 public:
  TwoRows(const ConvSource& source, int dilation) {
    const bool overlap = dilation == 1;
    source_ = source;
    source_.outputs = source_.inputs = kVector;
    source_.taps = overlap ? (source.taps + 1) / 2 : source.taps;
    for (int p = 0; p < 2; ++p) {
      repeat(source.bias, source.outputs, 0.0f, bias_);
      if (source.scale != nullptr) repeat(source.scale, source.outputs, 1.0f, scale_);
      if (source.input_zero != nullptr) repeat(source.input_zero, source.inputs, 0.0f, zero_);
    }
    source_.bias = bias_.data();
    if (source.scale != nullptr) source_.scale = scale_.data();
    if (source.input_zero != nullptr) source_.input_zero = zero_.data();
    const std::size_t bytes = source.type == backends::Weights::kF32    ? 4
                              : source.type == backends::Weights::kBf16 ? 2
                                                                        : 1;
    weights_.resize(bytes * kVector * kVector * static_cast<std::size_t>(source_.taps));
    source_.data = weights_.data();
    for (int p = 0; p < 2; ++p) {
      for (int o = 0; o < source.outputs; ++o) {
        for (int i = 0; i < source.inputs; ++i) {
          for (int tap = 0; tap < source.taps; ++tap) {
            const int row = overlap ? (tap + p) % 2 : p;
            const int at = overlap ? (tap + p) / 2 : tap;
            const int to = (p * kNarrow + o) * kVector + row * kNarrow + i;
            const int from = o * source.inputs + i;
            std::memcpy(weights_.data() + bytes * static_cast<std::size_t>(to * source_.taps + at),
                        static_cast<const char*>(source.data) +
                            bytes * static_cast<std::size_t>(from * source.taps + tap),
                        bytes);
          }
        }
      }
    }
  }
  TwoRows(const TwoRows&) = delete;
  TwoRows& operator=(const TwoRows&) = delete;

  const ConvSource& source() const { return source_; }

 private:
  static void repeat(const float* from, int n, float rest, std::vector<float>& to) {
    to.insert(to.end(), from, from + n);
    to.insert(to.end(), static_cast<std::size_t>(kNarrow - n), rest);
  }

  ConvSource source_;
  std::vector<char> weights_;
  std::vector<float> bias_, scale_, zero_;
};

}  // namespace

Result<DilatedConv> DilatedConv::pack(const ConvSource& source, int dilation, const RowGrid& grid,
                                      bool narrow, const kernels::KernelTable& kernels,
                                      Arena& arena) {
  const Result<Conv> direct = narrow
                                  ? Conv::pack({TwoRows(source, dilation).source()}, kernels, arena)
                                  : Conv::pack({source}, kernels, arena);
  if (!direct.ok()) return direct.status();
  DilatedConv conv;
  conv.kernels_ = &kernels;
  conv.direct_ = direct.value();
  conv.inputs_ = narrow ? kVector : padded(source.inputs);
  conv.taps_ = source.taps;
  conv.dilation_ = dilation;
  conv.grid_ = grid;
  conv.narrow_ = narrow;
  const bool real = source.type != backends::Weights::kI8 && kernels.winograd_f32 != nullptr;
  if (real && !narrow && direct.value().native() && conv.divide(grid.rows).groups > 0) {
    conv.pack_tiles(source, arena);
  }
  return conv;
}

void DilatedConv::pack_tiles(const ConvSource& source, Arena& arena) {
  const int channels = inputs_;
  const int parts = kernels::winograd_parts(taps_), fours = kernels::winograd_fours(taps_);
  const std::size_t columns = static_cast<std::size_t>(kernels::winograd_columns(taps_, channels));
  float* weights = arena.allocate<float>(columns * static_cast<std::size_t>(direct_.outputs()));
  const Transform transform;
  for (int o = 0; o < source.outputs; ++o) {
    float* row = weights + static_cast<std::size_t>(o / kVector) * kVector * columns + o % kVector;
    for (int i = 0; i < source.inputs; ++i) {
      for (int part = 0; part < parts; ++part) {
        double g[4], u[kernels::kWinogradEvaluations];
        const int first = kernels::winograd_tap(taps_, part);
        const int end = part + 1 < parts ? kernels::winograd_tap(taps_, part + 1) : taps_;
        for (int j = 0; j < 4; ++j) {
          g[j] = first + j < end ? static_cast<double>(source.at(o, i, first + j)) : 0.0;
        }
        transform(g, u);
        for (int p = 0; p < kernels::kWinogradEvaluations; ++p) {
          if (p == kernels::kWinogradEvaluations - 1 && part >= fours) continue;
          const int column = (p * parts + part) * channels + i;
          row[static_cast<std::size_t>(column) * kVector] = static_cast<float>(u[p]);
        }
      }
    }
  }
  tiles_ = {direct_.outputs() / kVector, static_cast<std::int32_t>(columns), weights, nullptr};
}

DilatedConv::Division DilatedConv::divide(std::int64_t rows) const PYVOC_RT {
  const int channels = inputs_;
  Division d;
  if (tile_cost(taps_, channels) < kTileRows * row_cost(taps_, channels)) {
    d.groups = rows / (kTileRows * dilation_);
  }
  const std::int64_t rest = rows - d.groups * kTileRows * dilation_;
  d.overlap =
      d.groups > 0 && dilation_ * tile_cost(taps_, channels) < rest * row_cost(taps_, channels);
  d.direct = d.overlap ? 0 : rest;
  return d;
}

WinogradTile DilatedConv::tile(const Division& block, std::int64_t rows, int i) const PYVOC_RT {
  const std::int64_t group = i / dilation_, residue = i % dilation_;
  const std::int64_t height = std::int64_t{kTileRows} * dilation_;
  if (group < block.groups) return {static_cast<std::int32_t>(group * height + residue), 0};
  const std::int64_t row = rows - height + residue, done = block.groups * height;
  const std::int64_t skip = row < done ? (done - row + dilation_ - 1) / dilation_ : 0;
  return {static_cast<std::int32_t>(row), static_cast<std::int32_t>(skip)};
}

template <typename Function>
void DilatedConv::for_blocks(std::int64_t from, std::int64_t until,
                             const Function& block) const PYVOC_RT {
  for (std::int64_t row = from; row < until;) {
    const std::int64_t end = std::min(grid_.after(row), until);
    block(row, end - row, divide(end - row));
    row = end;
  }
}

template <typename X>
ConvInput<X> DilatedConv::taps(const Rows<X>& in, std::int64_t row) const PYVOC_RT {
  ConvInput<X> taps;
  const bool side_by_side = narrow_ && dilation_ == 1;
  taps.segments = side_by_side ? 1 : taps_;
  for (int tap = 0; tap < taps.segments; ++tap) {
    taps.base[tap] = in.row(row + (tap - taps_ / 2) * dilation_);
    taps.stride[tap] = taps.cols[tap] = inputs_;
  }
  if (side_by_side) taps.cols[0] = (taps_ + 1) * kNarrow;
  return taps;
}

template <typename X>
void DilatedConv::run_direct(Team& team, const Rows<X>& in, std::int64_t from, std::int64_t until,
                             const ConvOutput& out) const PYVOC_RT {
  const std::int64_t rows = until - from;
  direct_.run(team, taps(in, from), static_cast<int>(narrow_ ? (rows + 1) / 2 : rows), out);
}

std::size_t DilatedConv::scratch(int threads) const {
  if (!tiled()) return 0;
  return static_cast<std::size_t>(Team::pieces(threads)) * kBatch *
         static_cast<std::size_t>(tiles_.cols);
}

void DilatedConv::run_piece(int piece, int pieces, Team::Range range, const Rows<float>& in,
                            std::int64_t from, std::int64_t until, const ConvOutput& out,
                            float* scratch) const PYVOC_RT {
  WinogradTile batch[kBatch];
  int count = 0;
  const auto flush = [&] {
    if (count == 0) return;
    kernels::WinogradInput tiles;
    tiles.base = in.row(from);
    tiles.stride = tiles.channels = inputs_;
    tiles.dilation = dilation_;
    tiles.taps = taps_;
    tiles.tiles = batch;
    kernels_->winograd_f32(tiles_, tiles, count,
                           scratch + std::size_t{kBatch} * static_cast<std::size_t>(tiles_.cols) *
                                         static_cast<std::size_t>(piece),
                           out);
    count = 0;
  };
  int before = 0, blocks = 0;
  for_blocks(from, until, [&](std::int64_t row, std::int64_t rows, const Division& block) {
    const int tiles = block.tiles(dilation_);
    for (int i = std::max(range.first - before, 0);
         i < std::min(range.first + range.count - before, tiles); ++i) {
      batch[count] = tile(block, rows, i);
      batch[count].row += static_cast<std::int32_t>(row - from);
      if (++count == kBatch) flush();
    }
    before += tiles;
    if (block.direct > 0 && blocks++ % pieces == piece) {
      const std::int64_t start = row + rows - block.direct;
      direct_.run(taps(in, start), static_cast<int>(block.direct),
                  kernels::advanced(out, (start - from) * out.stride));
    }
  });
  flush();
}

void DilatedConv::run(Team& team, const Rows<float>& in, std::int64_t from, std::int64_t until,
                      ConvOutput out, float* scratch) const PYVOC_RT {
  int tiles = 0;
  if (tiled()) {
    for_blocks(from, until, [&](std::int64_t, std::int64_t, const Division& block) {
      tiles += block.tiles(dilation_);
    });
  }
  if (tiles == 0) {
    run_direct(team, in, from, until, out);
    return;
  }
  constexpr int kLeastTiles = 12;
  const std::int64_t work = std::int64_t{tiles} * tiles_.cols * direct_.outputs();
  const int pieces = std::min(team.pieces_of(work), std::max(tiles / kLeastTiles, 1));
  out.bias = direct_.bias();
  out.stride = direct_.outputs();
  team.run(pieces, [&](int piece) {
    const Team::Range range = Team::Range::of(tiles, piece, pieces);
    run_piece(piece, pieces, range, in, from, until, out, scratch);
  });
}

void DilatedConv::run(Team& team, const Rows<std::uint8_t>& in, std::int64_t from,
                      std::int64_t until, ConvOutput out, float*) const PYVOC_RT {
  run_direct(team, in, from, until, out);
}

}  // namespace pyvoc::nn
