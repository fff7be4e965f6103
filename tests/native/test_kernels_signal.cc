// Signal analysis: near the float64 oracle and, since features must not depend on the machine, the
// very bits of the float32 sums taken in the order of their index.
#include <algorithm>

#include "kernel_checks.h"

namespace pyvoc::kernels::testing {
namespace {

constexpr int kLengths[] = {1, 2, 7, 16, 33, 160};          // of sums
constexpr int kCounts[] = {16, 32, 48, 64, 128, 144, 320};  // of outputs: multiples of 16

// A float32 sum of products in order, with what it should be.
struct OrderedSum {
  explicit OrderedSum(float start = 0.0f) : in_order(start) {
    if (start != 0.0f) exact.add(start);
  }
  void add(float a, float b) {
    const float product = a * b;
    in_order = in_order + product;
    exact.add(static_cast<double>(a) * b);
  }
  float in_order;
  Sum exact;
};

void expect_same(float actual, const OrderedSum& expected, int at) {
  ASSERT_EQ(actual, expected.in_order) << "at " << at;
  ASSERT_NEAR(actual, expected.exact.value, expected.exact.bound()) << "at " << at;
}

}  // namespace

void check_correlate_f32(const KernelTable& table) {
  Random random(10);
  for (const int n : kLengths) {
    for (const int lags : kCounts) {
      const std::size_t shift = std::size_t(random.integer(0, 3));
      Buffer<float> x(n, shift), y(std::size_t(n) + lags, shift);
      random.fill(x, -1.0f, 1.0f);
      random.fill(y, -1.0f, 1.0f);
      Fenced<float> out(lags, shift);
      table.correlate_f32(x.data(), y.data(), n, lags, out.data());
      out.expect_fences_intact();
      for (int l = 0; l < lags; ++l) {
        OrderedSum sum;
        for (int j = 0; j < n; ++j) sum.add(x[j], y[j + l]);
        expect_same(out[l], sum, l);
        if (::testing::Test::HasFatalFailure()) return;
      }
    }
  }
}

void check_fir_f32(const KernelTable& table) {
  Random random(11);
  for (const int n_taps : {0, 1, 2, 7, 16}) {
    for (const int n : kCounts) {
      const std::size_t shift = std::size_t(random.integer(0, 3));
      Buffer<float> history(std::size_t(n) + n_taps, shift), taps(n_taps);
      random.fill(history, -1.0f, 1.0f);
      random.fill(taps, -1.0f, 1.0f);
      const float* x = history.data() + n_taps;
      Fenced<float> y(n, shift);
      table.fir_f32(x, taps.data(), n_taps, n, y.data());
      y.expect_fences_intact();
      for (int i = 0; i < n; ++i) {
        OrderedSum sum(x[i]);
        for (int k = 0; k < n_taps; ++k) sum.add(taps[k], x[i - 1 - k]);
        expect_same(y[i], sum, i);
        if (::testing::Test::HasFatalFailure()) return;
      }
    }
  }
}

void check_window_energy_f32(const KernelTable& table) {
  Random random(12);
  for (const int n : kLengths) {
    for (const int count : kCounts) {
      Buffer<float> x(std::size_t(n) + count, 1);
      random.fill(x, -1.0f, 1.0f);
      Fenced<float> out(count, 1);
      table.window_energy_f32(x.data(), n, count, out.data());
      out.expect_fences_intact();
      for (int i = 0; i < count; ++i) {
        OrderedSum sum;
        for (int j = 0; j < n; ++j) sum.add(x[i + j], x[i + j]);
        expect_same(out[i], sum, i);
        if (::testing::Test::HasFatalFailure()) return;
      }
    }
  }
}

void check_sharpen_f32(const KernelTable& table) {
  Random random(13);
  for (const int n : kCounts) {
    Buffer<float> signal(std::size_t(n) + 6, 1), taps(7);
    random.fill(signal, -1.0f, 1.0f);
    random.fill(taps, -0.5f, 0.5f);
    const float* x = signal.data() + 3;
    Fenced<float> y(n, 1);
    table.sharpen_f32(x, taps.data(), n, y.data());
    y.expect_fences_intact();
    for (int i = 0; i < n; ++i) {
      OrderedSum after, before;
      for (int j = 0; j < 7; ++j) {
        after.add(x[i - 3 + j], taps[j]);
        before.add(x[i + 3 - j], taps[j]);
      }
      ASSERT_EQ(y[i], std::max(x[i], std::max(after.in_order, before.in_order))) << "at " << i;
      const double exact = std::max<double>(x[i], std::max(after.exact.value, before.exact.value));
      ASSERT_NEAR(y[i], exact, std::max(after.exact.bound(), before.exact.bound())) << "at " << i;
    }
  }
}

void check_path_step_f32(const KernelTable& table) {
  Random random(14);
  for (const int reach : {0, 1, 2, 5}) {
    for (const int n : kCounts) {
      Buffer<float> scores(std::size_t(n) + 2 * reach, 1), cost(std::size_t(reach) + 1), gain(n, 1);
      random.fill(scores, -1.0f, 1.0f);
      random.fill(cost, 0.0f, 0.3f);
      random.fill(gain, -1.0f, 1.0f);
      cost[0] = 0.0f;
      const float* score = scores.data() + reach;
      const float weight = random.uniform(0.0f, 2.0f);
      const float jump = random.uniform(-1.0f, 0.5f);
      Fenced<float> next(n, 1);
      table.path_step_f32(score, jump, cost.data(), reach, gain.data(), weight, n, next.data());
      next.expect_fences_intact();
      for (int i = 0; i < n; ++i) {
        float best = jump;
        double exact = jump;
        for (int j = -reach; j <= reach; ++j) {
          const float step = cost[std::size_t(j < 0 ? -j : j)];
          best = std::max(best, score[i + j] - step);
          exact = std::max(exact, static_cast<double>(score[i + j]) - step);
        }
        ASSERT_EQ(next[i], best + weight * gain[i]) << "at " << i << ", reach " << reach;
        ASSERT_NEAR(next[i], exact + static_cast<double>(weight) * gain[i], 8 * kUnitRoundoff)
            << "at " << i;
      }
    }
  }
}

void check_lower_f32(const KernelTable& table) {
  Random random(36);
  for (const int n : {16, 32, 224}) {
    for (int peak = 0; peak < n; peak += 5) {
      Buffer<float> x(n, 1);
      fill_wild(random, x);
      x[peak] = 1e6f + static_cast<float>(peak);
      Fenced<float> y(n, 1);
      std::copy(x.data(), x.data() + n, y.data());
      float top = 0.0f;
      table.lower_f32(y.data(), n, &top);
      y.expect_fences_intact();
      ASSERT_EQ(top, x[peak]);
      for (int i = 0; i < n; ++i) ASSERT_EQ(y[i], x[i] - x[peak]) << i << ", peak " << peak;
    }
  }
}

}  // namespace pyvoc::kernels::testing
