// A dilated convolution over the rows of a stream: an odd number of taps, as many outputs as
// inputs. Float weights are multiplied tile by tile (kernels/winograd.inl) where that is cheaper,
// which rounds otherwise than the plain sum. So that samples do not depend on how a stream was cut,
// a fixed grid says which rows form tiles: its blocks are the rows that one frame completes.
// Immutable once packed; run() is real-time safe and may be called from any thread.
#ifndef PYVOC_NN_DILATED_CONV_H_
#define PYVOC_NN_DILATED_CONV_H_

#include "nn/conv.h"
#include "nn/rows.h"

namespace pyvoc::nn {

// Blocks of `rows` rows; their boundaries are the multiples of `rows` less `delay`, and row 0.
struct RowGrid {
  std::int64_t rows = 1, delay = 0;

  // The last boundary up to t, the first one behind it.
  std::int64_t before(std::int64_t t) const PYVOC_RT { return (t + delay) / rows * rows - delay; }
  std::int64_t after(std::int64_t t) const PYVOC_RT { return before(t) + rows; }
};

class DilatedConv {
 public:
  static constexpr int kMostTaps = 15;

  DilatedConv() = default;

  // `source` has an odd number of taps, at most kMostTaps. `narrow`: rows are kNarrow wide, and
  // run() makes two at a time, so it may write one more than is asked for, of no meaning. Throws
  // std::bad_alloc.
  static Result<DilatedConv> pack(const ConvSource& source, int dilation, const RowGrid& grid,
                                  bool narrow, const kernels::KernelTable& kernels, Arena& arena);

  const Conv& direct() const { return direct_; }
  int reach() const PYVOC_RT { return taps_ / 2 * dilation_; }  // rows on each side of an output
  bool tiled() const PYVOC_RT { return tiles_.weights != nullptr; }

  // Up to which row a run may go when inputs for all rows before `ready` are there: up to the end
  // of a block, unless no row follows.
  std::int64_t until(std::int64_t ready, bool ended) const PYVOC_RT {
    return tiled() && !ended ? grid_.before(ready) : ready;
  }

  // Floats of working space that run() needs.
  std::size_t scratch(int threads) const;

  // Rows [from, until) of outputs, `from` being where the last run ended; `out` as in Conv::run.
  void run(Team& team, const Rows<float>& in, std::int64_t from, std::int64_t until,
           kernels::ConvOutput out, float* scratch) const PYVOC_RT;
  void run(Team& team, const Rows<std::uint8_t>& in, std::int64_t from, std::int64_t until,
           kernels::ConvOutput out, float* scratch) const PYVOC_RT;

 private:
  // How a block is done: groups of 4 dilation rows in tiles, perhaps one more that overlaps the one
  // before it and ends with the block, else the rest directly.
  struct Division {
    std::int64_t groups = 0;
    bool overlap = false;
    std::int64_t direct = 0;  // rows

    int tiles(int dilation) const PYVOC_RT {
      return static_cast<int>(groups + (overlap ? 1 : 0)) * dilation;
    }
  };

  Division divide(std::int64_t rows) const PYVOC_RT;
  kernels::WinogradTile tile(const Division& block, std::int64_t rows, int i) const PYVOC_RT;
  void pack_tiles(const ConvSource& source, Arena& arena);
  template <typename X>
  kernels::ConvInput<X> taps(const Rows<X>& in, std::int64_t row) const PYVOC_RT;
  template <typename X>
  void run_direct(Team& team, const Rows<X>& in, std::int64_t from, std::int64_t until,
                  const kernels::ConvOutput& out) const PYVOC_RT;
  // Calls block(first row, rows, division) for every block.
  template <typename Function>
  void for_blocks(std::int64_t from, std::int64_t until, const Function& block) const PYVOC_RT;
  // A range of the tiles and every pieces-th block's direct rows.
  void run_piece(int piece, int pieces, Team::Range range, const Rows<float>& in, std::int64_t from,
                 std::int64_t until, const kernels::ConvOutput& out, float* scratch) const PYVOC_RT;

  const kernels::KernelTable* kernels_ = nullptr;
  Conv direct_;
  int inputs_ = 0;  // floats of a row
  int taps_ = 3, dilation_ = 1;
  bool narrow_ = false;
  RowGrid grid_;
  kernels::Dense<float> tiles_;
};

}  // namespace pyvoc::nn
#endif  // PYVOC_NN_DILATED_CONV_H_
