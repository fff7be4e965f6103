#include "nn/dilated_conv.h"

#include <algorithm>

namespace pyvoc::nn {

using kernels::ConvInput;
using kernels::ConvOutput;
using kernels::WinogradTile;

namespace {

constexpr int kPoints = 6, kTileRows = 4;
constexpr int kBatch = 24;  // tiles that a kernel gets at a time

// Multiply-adds of a tile and of a row, for every channel of outputs. What the transformations
// cost besides was measured with 32 to 256 channels.
std::int64_t tile_cost(int channels) { return std::int64_t{kPoints} * channels + 95; }
std::int64_t row_cost(int channels) { return std::int64_t{DilatedConv::kTaps} * channels; }

// Weights at the points of evaluation, with the factors that undo the inputs' evaluation.
class Transform {
 public:
  Transform() {
    for (int p = 0; p < kFinite; ++p) {
      for (int q = 0; q < kFinite; ++q) {
        if (q != p) scales_[p] *= points_[p] - points_[q];
      }
    }
  }
  void operator()(const double (&g)[3], double (&u)[kPoints]) const {
    for (int p = 0; p < kFinite; ++p) {
      u[p] = (g[0] + points_[p] * (g[1] + points_[p] * g[2])) / scales_[p];
    }
    u[kFinite] = g[2];
  }

 private:
  static constexpr int kFinite = kPoints - 1;
  static constexpr double kNear = kernels::kWinogradNear, kFar = kernels::kWinogradFar;
  const double points_[kFinite] = {0.0, kNear, -kNear, kFar, -kFar};
  double scales_[kFinite] = {1.0, 1.0, 1.0, 1.0, 1.0};
};

}  // namespace

Result<DilatedConv> DilatedConv::pack(const ConvSource& source, int dilation, const RowGrid& grid,
                                      const kernels::KernelTable& kernels, Arena& arena) {
  const Result<Conv> direct = Conv::pack({source}, kernels, arena);
  if (!direct.ok()) return direct.status();
  DilatedConv conv;
  conv.kernels_ = &kernels;
  conv.direct_ = direct.value();
  conv.dilation_ = dilation;
  conv.grid_ = grid;
  const bool real = source.type != backends::Weights::kI8;
  if (real && direct.value().native() && conv.divide(grid.rows).groups > 0) {
    conv.pack_tiles(source, arena);
  }
  return conv;
}

void DilatedConv::pack_tiles(const ConvSource& source, Arena& arena) {
  const int channels = direct_.outputs();
  const std::size_t columns = std::size_t{kPoints} * static_cast<std::size_t>(channels);
  float* weights = arena.allocate<float>(columns * static_cast<std::size_t>(channels));
  const Transform transform;
  for (int o = 0; o < source.outputs; ++o) {
    for (int i = 0; i < source.inputs; ++i) {
      double g[3], u[kPoints];
      for (int tap = 0; tap < kTaps; ++tap) g[tap] = static_cast<double>(source.at(o, i, tap));
      transform(g, u);
      for (int p = 0; p < kPoints; ++p) {
        const std::size_t column = static_cast<std::size_t>(p) * channels + i;
        weights[static_cast<std::size_t>(o / kVector) * kVector * columns + column * kVector +
                o % kVector] = static_cast<float>(u[p]);
      }
    }
  }
  tiles_ = {channels / kVector, static_cast<std::int32_t>(columns), weights, nullptr};
}

DilatedConv::Division DilatedConv::divide(std::int64_t rows) const PYVOC_RT {
  const int channels = direct_.outputs();
  Division d;
  if (tile_cost(channels) < kTileRows * row_cost(channels)) {
    d.groups = rows / (kTileRows * dilation_);
  }
  const std::int64_t rest = rows - d.groups * kTileRows * dilation_;
  d.overlap = d.groups > 0 && dilation_ * tile_cost(channels) < rest * row_cost(channels);
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
  taps.segments = kTaps;
  for (int tap = 0; tap < kTaps; ++tap) {
    taps.base[tap] = in.row(row + (tap - kTaps / 2) * dilation_);
    taps.stride[tap] = taps.cols[tap] = direct_.outputs();
  }
  return taps;
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
    tiles.stride = tiles.channels = direct_.outputs();
    tiles.dilation = dilation_;
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
    direct_.run(team, taps(in, from), static_cast<int>(until - from), out);
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
  direct_.run(team, taps(in, from), static_cast<int>(until - from), out);
}

}  // namespace pyvoc::nn
