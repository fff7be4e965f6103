#include "nn/cells.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace pyvoc::nn {

namespace {

constexpr int kRows = 8, kCols = 4;
constexpr int kWeights = kRows * kCols;
constexpr int kPairs = kWeights / 2;  // of neighbouring weights of a row

struct Cell {
  int column = 0;
  std::int8_t w[kWeights] = {};  // [8][4]
  // What the positive and the negative weights of each pair add up to, four to a word.
  std::uint64_t sums[kPairs / 2] = {};
  int load = 0;  // of all sums: how hard it is to find a partner

  void add_up() {
    load = 0;
    for (int i = 0; i < kPairs; ++i) {
      const int a = w[2 * i], b = w[2 * i + 1];
      const int above = std::max(a, 0) + std::max(b, 0), below = std::max(-a, 0) + std::max(-b, 0);
      const std::uint64_t both =
          static_cast<std::uint64_t>(above) | static_cast<std::uint64_t>(below) << 16;
      sums[i / 2] |= both << (i % 2 * 32);
      load += above + below;
    }
  }
};

// Whether no sum of both is beyond kMostPairSum: of every four the one that is sets its top bit.
bool fit(const Cell& a, const Cell& b) {
  constexpr std::uint64_t kEach = 0x0001000100010001u;
  std::uint64_t tops = 0;
  for (int i = 0; i < kPairs / 2; ++i) {
    tops |= a.sums[i] + b.sums[i] + kEach * (0x7fff - kernels::kMostPairSum);
  }
  return (tops & kEach * 0x8000) == 0;
}

// Appends the cell, and what its pairs have too much as another one.
void append(Cell cell, std::vector<Cell>& cells) {
  Cell rest;
  bool whole = true;
  for (int i = 0; i < kPairs; ++i) {
    const int a = cell.w[2 * i], b = cell.w[2 * i + 1];
    if (std::abs(a + b) <= kernels::kMostPairSum) continue;
    whole = false;
    // Halves: then both cells leave room for a partner.
    rest.w[2 * i] = static_cast<std::int8_t>(a / 2);
    rest.w[2 * i + 1] = static_cast<std::int8_t>(b / 2);
    cell.w[2 * i] = static_cast<std::int8_t>(a - a / 2);
    cell.w[2 * i + 1] = static_cast<std::int8_t>(b - b / 2);
  }
  cell.add_up();
  if (cell.load > 0) cells.push_back(cell);
  if (whole) return;
  rest.column = cell.column;
  rest.add_up();
  cells.push_back(rest);
}

// An order of the cells in which the first ones are pairs that fit together; the number of these.
int make_pairs(const std::vector<Cell>& cells, std::vector<int>& order) {
  const int n = static_cast<int>(cells.size());
  std::vector<int> waiting(cells.size()), single;
  for (int i = 0; i < n; ++i) waiting[i] = i;
  std::sort(waiting.begin(), waiting.end(), [&](int a, int b) {
    return cells[a].load != cells[b].load ? cells[a].load > cells[b].load : a < b;
  });
  order.clear();
  while (!waiting.empty()) {
    const int first = waiting.front();
    std::size_t j = 1;
    while (j < waiting.size() && !fit(cells[first], cells[waiting[j]])) ++j;
    if (j == waiting.size()) {
      single.push_back(first);
    } else {
      order.push_back(first);
      order.push_back(waiting[j]);
      waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(j));
    }
    waiting.erase(waiting.begin());
  }
  const int pairs = static_cast<int>(order.size() / 2);
  order.insert(order.end(), single.begin(), single.end());
  return pairs;
}

}  // namespace

kernels::Cells pack_cells(const kernels::Dense<std::int8_t>& w, const std::vector<int>& chunks,
                          Arena& arena) {
  const int halves = 2 * w.panels, n_chunks = static_cast<int>(chunks.size());
  std::int32_t* chunk_cols = arena.allocate<std::int32_t>(chunks.size());
  std::copy(chunks.begin(), chunks.end(), chunk_cols);
  std::int64_t* first = arena.allocate<std::int64_t>(static_cast<std::size_t>(halves) + 1);
  std::int32_t* counts = arena.allocate<std::int32_t>(2 * chunks.size() * halves);
  std::vector<std::uint16_t> columns;
  std::vector<std::int8_t> weights;
  std::vector<Cell> cells;
  std::vector<int> order;
  for (int half = 0; half < halves; ++half) {
    first[half] = static_cast<std::int64_t>(columns.size());
    const std::int8_t* from =
        w.weights + std::int64_t{16} * w.cols * (half / 2) + half % 2 * kWeights;
    for (int chunk = 0; chunk < n_chunks; ++chunk) {
      cells.clear();
      for (int column = 0; column < chunks[chunk]; column += kCols, from += 2 * kWeights) {
        Cell cell;
        cell.column = column;
        std::memcpy(cell.w, from, kWeights);
        append(cell, cells);
      }
      const int pairs = make_pairs(cells, order);
      std::int32_t* count = counts + 2 * (half * n_chunks + chunk);
      count[0] = pairs;
      count[1] = static_cast<std::int32_t>(cells.size()) - 2 * pairs;
      for (const int i : order) {
        const Cell& cell = cells[i];
        columns.push_back(static_cast<std::uint16_t>(cell.column));
        weights.insert(weights.end(), cell.w, cell.w + kWeights);
      }
    }
  }
  first[halves] = static_cast<std::int64_t>(columns.size());
  std::uint16_t* kept_columns = arena.allocate<std::uint16_t>(columns.size());
  std::copy(columns.begin(), columns.end(), kept_columns);
  std::int8_t* kept_weights = arena.allocate<std::int8_t>(weights.size());
  std::copy(weights.begin(), weights.end(), kept_weights);
  return {n_chunks, chunk_cols, first, counts, kept_columns, kept_weights};
}

}  // namespace pyvoc::nn
