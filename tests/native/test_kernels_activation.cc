// tanh over its whole range, the scaling of int32 sums, and the tree of dual fully-connected nodes.
#include <limits>

#include "kernel_checks.h"

namespace pyvoc::kernels::testing {

void check_tanh_f32(const KernelTable& table) {
  // Sizes: a kernel call handles n padded to 16; lanes behind that stay as they are.
  for (const int n : {1, 15, 16, 17, 48, 100}) {
    const int padded = (n + 15) / 16 * 16;
    Fenced<float> x(padded, 1);
    for (int i = 0; i < padded; ++i) x.data()[i] = 0.25f * static_cast<float>(i - 8);
    table.tanh_f32(x.data(), n);
    x.expect_fences_intact();
    for (int i = 0; i < padded; ++i) {
      ASSERT_NEAR(x[i], std::tanh(0.25 * (i - 8)), kTanhPrecise) << i << " of " << n;
    }
  }
  // Accuracy: a fine sweep over the clamp, and the ends of the float range.
  Buffer<float> x(16 * 1250), y(16 * 1250);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = -10.0f + 1e-3f * static_cast<float>(i);
  const float special[] = {0.0f,
                           -0.0f,
                           1e-30f,
                           -1e-30f,
                           std::numeric_limits<float>::denorm_min(),
                           std::numeric_limits<float>::max(),
                           std::numeric_limits<float>::lowest(),
                           std::numeric_limits<float>::infinity(),
                           -std::numeric_limits<float>::infinity()};
  std::copy(std::begin(special), std::end(special), x.data());
  std::copy(x.data(), x.data() + x.size(), y.data());
  table.tanh_f32(y.data(), static_cast<std::int32_t>(y.size()));
  for (std::size_t i = 0; i < x.size(); ++i) {
    ASSERT_NEAR(y[i], std::tanh(static_cast<double>(x[i])), kTanhPrecise) << "x = " << x[i];
  }
  // A NaN becomes a limit: it does not get into the states.
  Buffer<float> nan(16);
  nan[3] = std::numeric_limits<float>::quiet_NaN();
  table.tanh_f32(nan.data(), 16);
  ASSERT_NEAR(std::fabs(nan[3]), 1.0f, 1e-5f);
  // Small arguments keep their relative accuracy (the odd rational has no constant term).
  for (std::size_t i = 2; i < 4; ++i) ASSERT_NEAR(y[i] / x[i], 1.0, 1e-5) << "x = " << x[i];
}

void check_gate_f32(const KernelTable& table) {
  Random random(9);
  for (const int n : {1, 15, 16, 17, 48, 100}) {
    const int padded = (n + 15) / 16 * 16;
    Fenced<float> x(padded, 1);
    Buffer<float> gates(padded, 1), before(padded, 1);
    random.fill(before, -1.0f, 1.0f);
    std::copy(before.data(), before.data() + padded, x.data());
    for (int i = 0; i < padded; ++i) gates[i] = 0.5f * static_cast<float>(i - 20);
    table.gate_f32(x.data(), gates.data(), n);
    x.expect_fences_intact();
    for (int i = 0; i < padded; ++i) {
      const double gate = 1.0 / (1.0 + std::exp(-0.5 * (i - 20)));
      ASSERT_NEAR(x[i], before[i] * gate, kTanhPrecise) << i << " of " << n;
    }
  }
  // Gates far beyond the function's slope, and one that is no number, which is shut or open.
  Buffer<float> x(16), gates(16);
  const float far[] = {std::numeric_limits<float>::max(), std::numeric_limits<float>::lowest(),
                       std::numeric_limits<float>::infinity(),
                       -std::numeric_limits<float>::infinity(),
                       std::numeric_limits<float>::quiet_NaN()};
  std::copy(std::begin(far), std::end(far), gates.data());
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = 1.0f;
  table.gate_f32(x.data(), gates.data(), 16);
  const double expected[] = {1.0, 0.0, 1.0, 0.0};
  for (std::size_t i = 0; i < 4; ++i) ASSERT_NEAR(x[i], expected[i], kTanhPrecise) << gates[i];
  ASSERT_NEAR(std::fabs(x[4] - 0.5f), 0.5f, 1e-5f);
}

namespace {

// Sums whose scaled values go from -12 to 12, with a bias; and what they stand for.
struct Scaled {
  Scaled(int n, Random& random) : sums(n, 1), scale(n, 1), bias(n, 1), value(std::size_t(n)) {
    random.fill(scale, 1e-4f, 3e-3f);
    random.fill(bias, -2.0f, 2.0f);
    for (int i = 0; i < n; ++i) {
      sums[i] = static_cast<std::int32_t>(std::lround(10.0 * std::sin(1.7 * i) / scale[i]));
      value[std::size_t(i)] = bias[i] + static_cast<double>(sums[i]) * scale[i];
    }
  }
  Buffer<std::int32_t> sums;
  Buffer<float> scale, bias;
  std::vector<double> value;
};

}  // namespace

void check_tanh_i32(const KernelTable& table) {
  Random random(10);
  for (const int n : {1, 15, 16, 17, 48, 100, 1600}) {
    const int padded = (n + 15) / 16 * 16;
    Scaled in(padded, random);
    Fenced<float> y(padded, 1);
    Fenced<std::uint8_t> u(padded, 1);
    table.tanh_i32(in.sums.data(), in.scale.data(), in.bias.data(), n, y.data(), u.data());
    y.expect_fences_intact();
    u.expect_fences_intact();
    for (int i = 0; i < padded; ++i) {
      ASSERT_NEAR(y[i], std::tanh(in.value[std::size_t(i)]), kTanhFast) << i << " of " << n;
      ASSERT_NEAR(u[i], 127.0f * y[i] + 127.0f, 0.501f) << i << " of " << n;
    }
  }
}

void check_gate_i32(const KernelTable& table) {
  Random random(11);
  for (const int n : {1, 15, 16, 17, 48, 100, 1600}) {
    const int padded = (n + 15) / 16 * 16;
    Scaled in(padded, random);
    Buffer<float> x(padded, 1);
    random.fill(x, -1.0f, 1.0f);
    Fenced<float> y(padded, 1);
    Fenced<std::uint8_t> u(padded, 1);
    table.gate_i32(x.data(), in.sums.data(), in.scale.data(), in.bias.data(), n, y.data(),
                   u.data());
    y.expect_fences_intact();
    u.expect_fences_intact();
    for (int i = 0; i < padded; ++i) {
      const double gate = 1.0 / (1.0 + std::exp(-in.value[std::size_t(i)]));
      ASSERT_NEAR(y[i], x[i] * gate, kTanhFast) << i << " of " << n;
      ASSERT_NEAR(u[i], 127.0f * y[i] + 127.0f, 0.501f) << i << " of " << n;
    }
    // In place it is the same.
    std::copy(x.data(), x.data() + padded, y.data());
    Fenced<std::uint8_t> again(padded, 1);
    table.gate_i32(y.data(), in.sums.data(), in.scale.data(), in.bias.data(), n, y.data(),
                   again.data());
    for (int i = 0; i < padded; ++i) ASSERT_EQ(again[i], u[i]);
  }
}

void check_scale_i32(const KernelTable& table) {
  Random random(8);
  for (const int n : {1, 15, 16, 17, 48, 100}) {
    const int padded = (n + 15) / 16 * 16;
    Buffer<std::int32_t> sums(padded, 1);
    Buffer<float> scale(padded, 1), offset(padded, 1), init(padded, 1);
    random.fill(scale, 1e-4f, 3e-3f);
    random.fill(offset, -1.0f, 1.0f);
    random.fill(init, -1.0f, 1.0f);
    // Up to the largest sum of 4096 inputs: 254 * 129 a pair.
    constexpr int kMaxSum = 2048 * 254 * 129;
    for (int i = 0; i < padded; ++i) sums[i] = random.integer(-kMaxSum, kMaxSum);
    Fenced<float> y(padded, 1);
    table.scale_i32(sums.data(), scale.data(), offset.data(), init.data(), y.data(), n);

    y.expect_fences_intact();
    for (int i = 0; i < padded; ++i) {
      Sum sum;
      sum.add(init[i]);
      sum.add(offset[i]);
      sum.add(static_cast<double>(sums[i]) * scale[i]);
      ASSERT_NEAR(y[i], sum.value, sum.bound()) << i << " of " << n;
    }
  }
}

namespace {

// A tree of random nodes over `inputs` inputs, with its logits and their error bounds.
struct Tree {
  Tree(int inputs, Random& random) : weights(std::size_t(32) * inputs + 64), x(inputs, 1) {
    random.fill(weights, -1.0f, 1.0f);
    random.fill(x, -1.0f, 1.0f);
    view.inputs = inputs;
    view.weights = weights.data();
    const float* bias = weights.data() + 32 * inputs;
    const float* factor = bias + 32;
    for (int node = 1; node < 16; ++node) {
      error[node] = 4 * kUnitRoundoff;
      for (int k = 0; k < 2; ++k) {
        Sum sum;
        sum.add(bias[16 * k + node]);
        for (int i = 0; i < inputs; ++i) {
          sum.add(static_cast<double>(weights[32 * i + 16 * k + node]) * x[i]);
        }
        logit[node] += factor[16 * k + node] * std::tanh(sum.value);
        error[node] += std::fabs(factor[16 * k + node]) * (kTanhPrecise + sum.bound());
      }
    }
  }

  Buffer<float> weights, x;
  DualFcTree view;
  double logit[16] = {}, error[16] = {};
};

constexpr int kTreeInputs[] = {1, 2, 3, 4, 15, 16, 17, 32};

}  // namespace

void check_dual_fc_tree(const KernelTable& table) {
  Random random(7);
  for (const int inputs : kTreeInputs) {
    const Tree tree(inputs, random);
    Fenced<float> logits(16, 1);
    table.dual_fc_tree(tree.view, tree.x.data(), logits.data());
    logits.expect_fences_intact();
    for (int node = 1; node < 16; ++node) {
      ASSERT_NEAR(logits[node], tree.logit[node], tree.error[node])
          << "node " << node << ", inputs " << inputs;
    }
  }
}

void check_dual_fc_path(const KernelTable& table) {
  Random random(9);
  for (const int inputs : kTreeInputs) {
    for (int round = 0; round < 32; ++round) {
      const Tree tree(inputs, random);
      // Thresholds just beyond the error on either side: every decision is known.
      Buffer<float> thresholds(16, 1);
      bool taken[16] = {};
      for (int node = 1; node < 16; ++node) {
        taken[node] = random.integer(0, 1) == 1;
        const double margin = 2 * tree.error[node] + 1e-6;
        thresholds[node] = static_cast<float>(tree.logit[node] + (taken[node] ? -margin : margin));
      }
      int node = 1, expected = 0;
      for (int level = 0; level < 4; ++level) {
        expected = 2 * expected + taken[node];
        node = 2 * node + taken[node];
      }
      std::int32_t path = -1;
      table.dual_fc_path(tree.view, tree.x.data(), thresholds.data(), &path);
      ASSERT_EQ(path, expected) << "inputs " << inputs << ", round " << round;
    }
  }
}

}  // namespace pyvoc::kernels::testing
