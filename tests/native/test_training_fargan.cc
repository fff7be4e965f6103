// FARGAN's loop and its matrices in training: every tier says the same, whatever the threads; a
// matrix and its gradients against float64. (That it is the network's loop, with its gradients, is
// tested in Python against PyTorch.)
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "kernels/resolve.h"
#include "training/fargan_sequence.h"
#include "training/row_matrix.h"

namespace pyvoc::training {
namespace {

using Values = std::vector<float>;

class Random {
 public:
  explicit Random(std::uint32_t seed) : engine_(seed) {}
  Values values(std::size_t n, float size) {
    Values made(n);
    for (float& x : made) x = size * (static_cast<float>(engine_() >> 8) * 0x1p-23f - 1.0f);
    return made;
  }
  int below(int n) { return static_cast<int>(engine_() % static_cast<std::uint32_t>(n)); }

 private:
  std::mt19937 engine_;
};

std::vector<const kernels::KernelTable*> tables() {
  std::vector<const kernels::KernelTable*> found;
  for (const kernels::Tier& tier : kernels::tiers()) {
    if (tier.supported) found.push_back(kernels::table_for(tier.name).value());
  }
  return found;
}

void expect_close(const Values& found, const Values& expected, float relative,
                  const std::string& what) {
  ASSERT_EQ(found.size(), expected.size());
  float largest = 0.0f, difference = 0.0f;
  for (std::size_t i = 0; i < found.size(); ++i) {
    largest = std::max(largest, std::fabs(expected[i]));
    difference = std::max(difference, std::fabs(found[i] - expected[i]));
  }
  EXPECT_GT(largest, 0.0f) << what;
  EXPECT_LE(difference, relative * largest) << what;
}

TEST(RowMatrix, ProductsAndGradientOnEveryTier) {
  const RowMatrix::Parts outputs = {5, 16}, inputs = {16, 3, 20};
  constexpr int kOutputs = 21, kInputs = 39, kRows = 201;
  Random random(1);
  const Values w = random.values(kOutputs * kInputs, 1.0f);
  for (const kernels::KernelTable* table : tables()) {
    const RowMatrix matrix(w.data(), outputs, inputs, true, *table);
    ASSERT_EQ(matrix.inputs(), 64);
    ASSERT_EQ(matrix.outputs(), 32);
    // What lies in the padding is multiplied with zeros.
    const Values x = random.values(std::size_t(208) * 64, 1.0f);
    const Values d = random.values(std::size_t(208) * 32, 1.0f);
    const auto input = [](int i) { return i < 16 ? i : i < 19 ? i : i - 19 + 32; };
    const auto output = [](int o) { return o < 5 ? o : o - 5 + 16; };
    Values bias(32, 0.0f), y(std::size_t(kRows) * 32), d_x(std::size_t(kRows) * 64, 1.0f);
    bias[3] = 0.5f;
    matrix.forward(x.data(), kRows, bias.data(), y.data());
    matrix.back({{d.data(), 32, 16}, {d.data() + 16, 32, 16}}, kRows, d_x.data(), true);
    Values sums(32 * 64), gradient(w.size());
    for (int piece = 0; piece < matrix.pieces(); ++piece) {
      matrix.gradient(piece, {{d.data(), 32, 32}}, x.data(), kRows, sums.data());
    }
    matrix.unpack(sums.data(), gradient.data());
    Values ahead, back, expected, found_ahead, found_back;
    for (int row = 0; row < kRows; ++row) {
      for (int o = 0; o < kOutputs; ++o) {
        double sum = static_cast<double>(bias[std::size_t(output(o))]);
        for (int i = 0; i < kInputs; ++i) {
          sum +=
              double(w[std::size_t(o * kInputs + i)]) * double(x[std::size_t(row * 64 + input(i))]);
        }
        ahead.push_back(static_cast<float>(sum));
        found_ahead.push_back(y[std::size_t(row * 32 + output(o))]);
      }
      for (int i = 0; i < kInputs; ++i) {
        double sum = 1.0;
        for (int o = 0; o < kOutputs; ++o) {
          sum += double(w[std::size_t(o * kInputs + i)]) *
                 double(d[std::size_t(row * 32 + output(o))]);
        }
        back.push_back(static_cast<float>(sum));
        found_back.push_back(d_x[std::size_t(row * 64 + input(i))]);
      }
    }
    for (int o = 0; o < kOutputs; ++o) {
      for (int i = 0; i < kInputs; ++i) {
        double sum = 0.0;
        for (int row = 0; row < kRows; ++row) {
          sum += double(d[std::size_t(row * 32 + output(o))]) *
                 double(x[std::size_t(row * 64 + input(i))]);
        }
        expected.push_back(static_cast<float>(sum));
      }
    }
    expect_close(found_ahead, ahead, 1e-6f, table->tier);
    expect_close(found_back, back, 1e-6f, table->tier);
    expect_close(gradient, expected, 3e-6f, table->tier);
  }
}

// A loop of few units; padding everywhere.
struct Problem {
  Problem() {
    shape.rows = 19;
    shape.steps = 12;
    shape.given = 2;
    shape.cond = 7;
    shape.fwc = 21;
    shape.units[0] = 16, shape.units[1] = 5, shape.units[2] = 18;
    shape.skip = 9;
    const std::size_t rows = 19, steps = 12;
    Random random(5);
    cond = random.values(rows * steps * 7, 1.0f);
    gains = random.values(rows * steps, 0.5f);
    scales = random.values(rows * steps, 0.5f);
    for (float& x : gains) x += 1.0f;
    for (float& x : scales) x += 1.5f;  // some of the past is limited
    for (std::size_t i = 0; i < rows * steps / 4 * FarganShape::kPrediction; ++i) {
      places.push_back(random.below(FarganShape::kHistory));
    }
    history = random.values(rows * FarganShape::kHistory, 1.0f);
    forced = random.values(rows * 2 * FarganShape::kSubframe, 1.0f);
    noise = random.values(rows * kPeriod, 0.004f);
    weighting = random.values(rows * steps * FarganShape::kSubframe, 1.0f);
    const int inputs[FarganShape::kMatrices] = {182, 21, 21, 101, 16,  16, 96, 5,
                                                5,   85, 18, 18,  140, 9,  9};
    const int outputs[FarganShape::kMatrices] = {21, 21, 4,  48, 48, 16, 15, 15,
                                                 5,  54, 54, 18, 9,  9,  40};
    for (int k = 0; k < FarganShape::kMatrices; ++k) {
      const auto n = std::size_t(inputs[k]);
      matrices.push_back(random.values(std::size_t(outputs[k]) * n, 2.0f / std::sqrt(float(n))));
    }
    bias = random.values(16, 1.0f);
  }
  FarganInputs inputs() const {
    FarganInputs in;
    in.cond = cond.data();
    in.gains = gains.data();
    in.scales = scales.data();
    in.places = places.data();
    in.history = history.data();
    in.forced = forced.data();
    in.noise = noise.data();
    in.period = kPeriod;
    in.noise_at = 100;
    in.bias = bias.data();
    for (std::size_t k = 0; k < matrices.size(); ++k) in.matrices[k] = matrices[k].data();
    return in;
  }
  // Samples and gradients.
  std::vector<Values> run(const kernels::KernelTable& table, int threads) const {
    FarganSequence sequence(shape, inputs(), table);
    std::vector<Values> found = {Values(weighting.size()), Values(cond.size()),
                                 Values(gains.size()), Values(scales.size()), Values(4)};
    for (const Values& matrix : matrices) found.emplace_back(matrix.size());
    sequence.forward(found[0].data(), threads);
    FarganGradients to;
    to.cond = found[1].data();
    to.gains = found[2].data();
    to.scales = found[3].data();
    to.bias = found[4].data();
    for (std::size_t k = 0; k < matrices.size(); ++k) to.matrices[k] = found[5 + k].data();
    sequence.backward(weighting.data(), to, threads);
    return found;
  }

  static constexpr int kPeriod = 401;  // less than a step draws
  FarganShape shape;
  Values cond, gains, scales, history, forced, noise, weighting, bias;
  std::vector<std::int32_t> places;
  std::vector<Values> matrices;
};

TEST(FarganSequence, EveryTierSaysTheSame) {
  const Problem problem;
  const auto all = tables();  // the last one is scalar
  const std::vector<Values> expected = problem.run(*all.back(), 1);
  for (const kernels::KernelTable* table : all) {
    const std::vector<Values> found = problem.run(*table, 1);
    for (std::size_t k = 0; k < found.size(); ++k) {
      const std::string what = table->tier + (", array " + std::to_string(k));
      expect_close(found[k], expected[k], k == 0 ? 1e-5f : 1e-4f, what);
    }
  }
}

TEST(FarganSequence, ThreadsDoNotMatter) {
  const Problem problem;
  const kernels::KernelTable& table = *tables().front();
  EXPECT_EQ(problem.run(table, 1), problem.run(table, 3));
}

TEST(FarganSequence, WithoutABackwardPassLittleIsKept) {
  Problem problem;
  const std::vector<Values> whole = problem.run(*tables().front(), 1);
  problem.shape.kept = false;
  Values written(whole[0].size());
  FarganSequence(problem.shape, problem.inputs(), *tables().front()).forward(written.data(), 2);
  EXPECT_EQ(written, whole[0]);
}

}  // namespace
}  // namespace pyvoc::training
