#include "training/tree_loss.h"

#include <algorithm>
#include <vector>

#include "training/parallel.h"
#include "training/workspace.h"

namespace pyvoc::training {
namespace {

constexpr int kPieces = 8;
constexpr std::size_t kNodes = 512;

}  // namespace

void tree_loss(const kernels::TreeNll& problem, int threads, const kernels::KernelTable& table) {
  const auto inputs = static_cast<std::size_t>(problem.inputs);
  const std::size_t size = kNodes * (inputs + 2);  // weight, bias, factor
  std::vector<Workspace> sums(kPieces);
  const bool gradients = problem.d_x != nullptr;
  parallel(kPieces, threads, [&](int k) {
    const std::ptrdiff_t begin = static_cast<std::ptrdiff_t>(problem.count) * k / kPieces;
    const std::ptrdiff_t end = static_cast<std::ptrdiff_t>(problem.count) * (k + 1) / kPieces;
    kernels::TreeNll piece = problem;
    piece.count = static_cast<std::int32_t>(end - begin);
    piece.x += begin * problem.inputs;
    piece.symbol += begin;
    piece.nll += begin;
    if (gradients) {
      Workspace& mine = sums[static_cast<std::size_t>(k)];
      mine = Workspace(size);
      piece.weights += begin;
      piece.d_x += begin * problem.inputs;
      piece.d_weight = mine.zeroed();
      piece.d_bias = piece.d_weight + kNodes * inputs;
      piece.d_factor = piece.d_bias + kNodes;
    }
    table.tree_nll_f32(piece);
  });
  if (!gradients) return;
  float* total = sums[0].data();
  for (int k = 1; k < kPieces; ++k) {
    const float* other = sums[static_cast<std::size_t>(k)].data();
    for (std::size_t i = 0; i < size; ++i) total[i] += other[i];
  }
  std::copy(total, total + kNodes * inputs, problem.d_weight);
  std::copy(total + kNodes * inputs, total + kNodes * (inputs + 1), problem.d_bias);
  std::copy(total + kNodes * (inputs + 1), total + size, problem.d_factor);
}

}  // namespace pyvoc::training
