// Sequences in training: a GRU with tables, masks and a partial group of rows against float64, its
// gradients against central differences of the float64 forward pass; a layer with pruned blocks;
// the tree's loss in pieces.
#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <functional>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "kernel_checks.h"
#include "kernels/resolve.h"
#include "training/block_product.h"
#include "training/gru_sequence.h"
#include "training/parallel.h"
#include "training/tree_loss.h"
#include "training/workspace.h"

namespace pyvoc::training {
namespace {

using kernels::testing::Random;
using Values = std::vector<float>;

Values random_values(std::size_t n, float low, float high, Random& random) {
  Values x(n);
  for (float& value : x) value = random.uniform(low, high);
  return x;
}

// Sizes that leave the last group of rows partly empty, and the last tile of steps partly filled,
// up to within a vector.
constexpr int kSteps = 35, kFrames = 7;

struct Problem {
  explicit Problem(bool with_tables, bool with_mask) : random(with_tables ? 1 : 2) {
    shape.rows = 19;
    shape.steps = kSteps;
    shape.hop = kSteps / kFrames;
    shape.units = 16;
    shape.levels = with_tables ? 7 : 0;
    const std::size_t rows = 19, gates = 48;
    arrays[kGates] = random_values(rows * kFrames * gates, -1.0f, 1.0f, random);
    arrays[kWeight] = random_values(gates * 16, -0.4f, 0.4f, random);
    arrays[kBias] = random_values(gates, -1.0f, 1.0f, random);
    for (int k = 0; k < kTables && with_tables; ++k) {
      arrays[kTable + k] = random_values(7 * gates, -1.0f, 1.0f, random);
    }
    codes = random_values(rows * 3 * kSteps, 0.0f, 6.0f, random);
    codes[0] = 6.0f, codes[1] = 0.0f;
    state = random_values(rows * 16, -1.0f, 1.0f, random);
    weighting = random_values(rows * kSteps * 16, -1.0f, 1.0f, random);
    if (!with_mask) return;
    mask.resize(6 * 4);
    for (std::uint8_t& block : mask) block = static_cast<std::uint8_t>(random.integer(0, 1));
    for (std::size_t i = 0; i < arrays[kWeight].size(); ++i) {
      if (!used(i)) arrays[kWeight][i] = 0.0f;
    }
  }
  bool used(std::size_t weight) const {
    const std::size_t row = weight / 16, col = weight % 16;
    return mask.empty() || row % 16 == col || mask[row / 8 * 4 + col / 4] != 0;
  }
  GruInputs inputs() const {
    GruInputs in;
    in.gates = arrays[kGates].data();
    in.weight = arrays[kWeight].data();
    in.bias = arrays[kBias].data();
    for (int k = 0; k < kTables; ++k) in.tables[k] = arrays[kTable + k].data();
    in.codes = codes.data();
    in.mask = mask.empty() ? nullptr : mask.data();
    in.state = state.data();
    return in;
  }
  double value(int array, std::size_t i) const {
    const double x = static_cast<double>(arrays[static_cast<std::size_t>(array)][i]);
    return array == moved_array && i == moved_index ? x + moved_by : x;
  }
  // The states of a row in float64, [steps][units].
  std::vector<double> states(int row) const {
    std::vector<double> out, h(16);
    for (int i = 0; i < 16; ++i)
      h[std::size_t(i)] = static_cast<double>(state[std::size_t(row * 16 + i)]);
    for (int t = 0; t < shape.steps; ++t) {
      std::array<double, 48> x{}, m{};
      for (std::size_t g = 0; g < 48; ++g) {
        x[g] = value(kGates, std::size_t(row * kFrames + t / shape.hop) * 48 + g);
        for (int k = 0; k < kTables && shape.levels > 0; ++k) {
          const double code = static_cast<double>(codes[std::size_t((row * 3 + k) * kSteps + t)]);
          const auto low = std::size_t(code);
          const std::size_t high = std::min<std::size_t>(low + 1, 6);
          const double part = code - static_cast<double>(low);
          x[g] += (1 - part) * value(kTable + k, low * 48 + g) +
                  part * value(kTable + k, high * 48 + g);
        }
        m[g] = value(kBias, g);
        for (std::size_t i = 0; i < 16; ++i) m[g] += value(kWeight, g * 16 + i) * h[i];
      }
      for (std::size_t i = 0; i < 16; ++i) {
        const double r = 1 / (1 + std::exp(-x[i] - m[i]));
        const double z = 1 / (1 + std::exp(-x[16 + i] - m[16 + i]));
        const double n = std::tanh(x[32 + i] + r * m[32 + i]);
        h[i] = n + z * (h[i] - n);
      }
      out.insert(out.end(), h.begin(), h.end());
    }
    return out;
  }
  double loss() const {
    double sum = 0.0;
    for (int row = 0; row < shape.rows; ++row) {
      const std::vector<double> h = states(row);
      for (std::size_t i = 0; i < h.size(); ++i) {
        sum += h[i] * static_cast<double>(weighting[std::size_t(row) * h.size() + i]);
      }
    }
    return sum;
  }
  double derivative(int array, std::size_t index) {
    moved_array = array, moved_index = index;
    moved_by = 1e-5;
    const double above = loss();
    moved_by = -1e-5;
    const double below = loss();
    moved_array = -1;
    return (above - below) / 2e-5;
  }

  enum { kGates, kWeight, kBias, kTable };
  Random random;
  GruShape shape;
  std::array<Values, 6> arrays;
  Values codes, state, weighting;
  std::vector<std::uint8_t> mask;
  int moved_array = -1;
  std::size_t moved_index = 0;
  double moved_by = 0.0;
};

struct Result {
  Values out;
  std::array<Values, 6> gradients;
};

Result run(const Problem& problem, int threads) {
  const kernels::KernelTable& table = *kernels::active_table().value();
  Result result;
  result.out.resize(problem.weighting.size());
  for (std::size_t k = 0; k < 6; ++k) result.gradients[k].resize(problem.arrays[k].size());
  GruSequence sequence(problem.shape, problem.inputs(), table);
  sequence.forward(result.out.data(), threads);
  GruGradients to;
  to.gates = result.gradients[Problem::kGates].data();
  to.weight = result.gradients[Problem::kWeight].data();
  to.bias = result.gradients[Problem::kBias].data();
  for (int k = 0; k < kTables; ++k)
    to.tables[k] = result.gradients[std::size_t(Problem::kTable + k)].data();
  sequence.backward(problem.weighting.data(), to, threads);
  return result;
}

class Training : public ::testing::TestWithParam<std::tuple<bool, bool>> {};

TEST_P(Training, GruSequenceAndItsGradients) {
  Problem problem(std::get<0>(GetParam()), std::get<1>(GetParam()));
  const Result found = run(problem, 1);
  for (int row = 0; row < problem.shape.rows; ++row) {
    const std::vector<double> h = problem.states(row);
    for (std::size_t i = 0; i < h.size(); ++i) {
      ASSERT_NEAR(static_cast<double>(found.out[std::size_t(row) * h.size() + i]), h[i], 1e-5);
    }
  }
  for (int array = 0; array < 6; ++array) {
    const Values& gradient = found.gradients[std::size_t(array)];
    for (int k = 0; k < 20 && !gradient.empty(); ++k) {
      const auto i = std::size_t(problem.random.integer(0, static_cast<int>(gradient.size()) - 1));
      const bool used = array != Problem::kWeight || problem.used(i);
      const double expected = used ? problem.derivative(array, i) : 0.0;
      EXPECT_NEAR(static_cast<double>(gradient[i]), expected, 1e-4)
          << "array " << array << ", " << i;
    }
  }
}

TEST_P(Training, ThreadsDoNotMatter) {
  const Problem problem(std::get<0>(GetParam()), std::get<1>(GetParam()));
  const Result one = run(problem, 1), three = run(problem, 3);
  EXPECT_EQ(one.out, three.out);
  EXPECT_EQ(one.gradients, three.gradients);
}

INSTANTIATE_TEST_SUITE_P(All, Training, ::testing::Combine(::testing::Bool(), ::testing::Bool()));

// Rows that fill no vector, one tile, and several tiles the last of which ends within a vector.
TEST(BlockProduct, IsThatOfTheBlocks) {
  constexpr int kOutputs = 32, kInputs = 48;
  const kernels::KernelTable& table = *kernels::active_table().value();
  for (int rows : {3, 128, 301}) {
    Random random(static_cast<std::uint32_t>(rows));
    std::vector<std::uint8_t> mask(kOutputs * kInputs / 32);
    for (std::uint8_t& block : mask) block = static_cast<std::uint8_t>(random.integer(0, 1));
    const Values matrix = random_values(kOutputs * kInputs, -1.0f, 1.0f, random);
    const Values x = random_values(std::size_t(rows) * kInputs, -1.0f, 1.0f, random);
    const Values d = random_values(std::size_t(rows) * kOutputs, -1.0f, 1.0f, random);
    const Values before = random_values(d.size(), -1.0f, 1.0f, random);
    Values d_x(x.size()), d_matrix(matrix.size()), y = before;
    const BlockProduct product(matrix.data(), mask.data(), kOutputs, kInputs, table);
    product.forward(x.data(), rows, y.data(), 1);
    product.backward(x.data(), d.data(), rows, d_x.data(), d_matrix.data(), 1);

    std::vector<double> ref_y(before.begin(), before.end()), ref_x(x.size()), ref_w(matrix.size());
    for (std::size_t k = 0; k < matrix.size(); ++k) {
      const std::size_t o = k / kInputs, i = k % kInputs;
      if (mask[o / 8 * (kInputs / 4) + i / 4] == 0) continue;
      for (std::size_t row = 0; row < std::size_t(rows); ++row) {
        const double in = static_cast<double>(x[row * kInputs + i]);
        const double slope = static_cast<double>(d[row * kOutputs + o]);
        ref_y[row * kOutputs + o] += static_cast<double>(matrix[k]) * in;
        ref_x[row * kInputs + i] += static_cast<double>(matrix[k]) * slope;
        ref_w[k] += in * slope;
      }
    }
    const auto expect_near = [](const Values& found, const std::vector<double>& expected) {
      for (std::size_t i = 0; i < found.size(); ++i) {
        ASSERT_NEAR(static_cast<double>(found[i]), expected[i], 2e-5) << i;
      }
    };
    expect_near(y, ref_y);
    expect_near(d_x, ref_x);
    expect_near(d_matrix, ref_w);

    Values y3 = before, d_x3(x.size()), d_matrix3(matrix.size());
    product.forward(x.data(), rows, y3.data(), 3);
    product.backward(x.data(), d.data(), rows, d_x3.data(), d_matrix3.data(), 3);
    EXPECT_EQ(y, y3);
    EXPECT_EQ(d_x, d_x3);
    EXPECT_EQ(d_matrix, d_matrix3);
  }
}

// A thread of which only the first can be started.
struct ScarceThread {
  template <typename Work>
  explicit ScarceThread(const Work& work) {
    if (++started > 1) throw std::system_error(EAGAIN, std::generic_category());
    thread = std::thread(work);
  }
  void join() { thread.join(); }
  std::thread thread;
  static inline int started = 0;
};

TEST(Parallel, DoesAllWithTheThreadsThatStart) {
  ScarceThread::started = 0;
  std::array<std::atomic<int>, 20> done{};
  parallel<ScarceThread>(20, 4, [&](int i) { ++done[std::size_t(i)]; });
  for (const std::atomic<int>& times : done) EXPECT_EQ(times, 1);
  EXPECT_EQ(ScarceThread::started, 2);
  EXPECT_THROW(parallel(3, 1,
                        [](int i) {
                          if (i == 1) throw std::runtime_error("x");
                        }),
               std::runtime_error);
}

TEST(TreeLoss, PiecesAddUpToTheWhole) {
  constexpr std::size_t kCount = 21, kInputs = 16, kNodes = 512;
  Random random(3);
  const kernels::KernelTable& table = *kernels::active_table().value();
  const Values x = random_values(kCount * kInputs, -1.0f, 1.0f, random);
  const Values weight = random_values(kNodes * kInputs, -1.0f, 1.0f, random);
  const Values bias = random_values(kNodes, -1.0f, 1.0f, random);
  const Values weights = random_values(kCount, 0.0f, 1.0f, random);
  std::vector<std::uint8_t> symbols(kCount);
  for (std::uint8_t& s : symbols) s = static_cast<std::uint8_t>(random.integer(0, 255));
  const auto solve = [&](int threads, bool whole) {
    Values nll(kCount), d_x(kCount * kInputs), d_weight(kNodes * kInputs), d_bias(kNodes),
        d_factor(kNodes);
    kernels::TreeNll t;
    t.count = kCount;
    t.inputs = kInputs;
    t.x = x.data();
    t.symbol = symbols.data();
    t.weights = weights.data();
    t.weight = weight.data();
    t.bias = t.factor = bias.data();
    t.nll = nll.data();
    t.d_x = d_x.data();
    t.d_weight = d_weight.data();
    t.d_bias = d_bias.data();
    t.d_factor = d_factor.data();
    whole ? table.tree_nll_f32(t) : tree_loss(t, threads, table);
    Values all = nll;
    for (const Values* part : {&d_x, &d_weight, &d_bias, &d_factor}) {
      all.insert(all.end(), part->begin(), part->end());
    }
    return all;
  };
  const Values whole = solve(1, true), pieces = solve(1, false);
  ASSERT_EQ(whole.size(), pieces.size());
  for (std::size_t i = 0; i < whole.size(); ++i) EXPECT_NEAR(whole[i], pieces[i], 1e-5f);
  EXPECT_EQ(pieces, solve(3, false));
}

TEST(Workspace, IsAlignedAndReused) {
  const float* first;
  {
    Workspace a(1000);
    first = a.zeroed();
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(first) % 64, 0u);
    EXPECT_EQ(std::count(first, first + 1000, 0.0f), 1000);
  }
  const Workspace b(900);
  EXPECT_EQ(b.data(), first);
  const Workspace c(900);
  EXPECT_NE(c.data(), first);
}

}  // namespace
}  // namespace pyvoc::training
