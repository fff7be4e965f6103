// Signal analysis: against a float64 oracle, and bit for bit against the plain loop it stands for.
#include <algorithm>

#include "kernel_checks.h"

namespace pyvoc::kernels::testing {
namespace {

// Values of very different size, so that another order of summation would show.
void fill_wild(Random& random, Buffer<float>& x) {
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = std::ldexp(random.uniform(-1.0f, 1.0f), random.integer(-8, 12));
  }
}

}  // namespace

void check_correlate_f32(const KernelTable& table) {
  Random random(31);
  for (const int n : {1, 2, 15, 16, 79, 80, 81}) {
    for (const int lags : {16, 32, 48, 64, 112, 128, 144, 256}) {
      Buffer<float> x(n, 1), y(n - 1 + lags, 3);
      fill_wild(random, x);
      fill_wild(random, y);
      Fenced<float> out(lags, 1);
      table.correlate_f32(x.data(), y.data(), n, lags, out.data());
      out.expect_fences_intact();
      for (int l = 0; l < lags; ++l) {
        Sum sum;
        float plain = 0.0f;
        for (int j = 0; j < n; ++j) {
          sum.add(static_cast<double>(x[j]) * y[j + l]);
          plain += x[j] * y[j + l];
        }
        ASSERT_NEAR(out[l], sum.value, sum.bound()) << "lag " << l << " of " << lags;
        ASSERT_EQ(out[l], plain) << "lag " << l << " of " << lags << ", n " << n;
      }
    }
  }
}

void check_fir_f32(const KernelTable& table) {
  Random random(32);
  for (const int taps : {1, 2, 7, 16}) {
    for (const int n : {16, 32, 160}) {
      Buffer<float> x(taps + n, 2), tap(taps, 1);
      fill_wild(random, x);
      random.fill(tap, -2.0f, 2.0f);
      Fenced<float> y(n, 1);
      const float* now = x.data() + taps;
      table.fir_f32(now, tap.data(), taps, n, y.data());
      y.expect_fences_intact();
      for (int i = 0; i < n; ++i) {
        Sum sum;
        sum.add(now[i]);
        float plain = now[i];
        for (int k = 0; k < taps; ++k) {
          sum.add(static_cast<double>(tap[k]) * now[i - 1 - k]);
          plain += tap[k] * now[i - 1 - k];
        }
        ASSERT_NEAR(y[i], sum.value, sum.bound()) << i;
        ASSERT_EQ(y[i], plain) << i << ", taps " << taps;
      }
    }
  }
}

void check_window_energy_f32(const KernelTable& table) {
  Random random(33);
  for (const int n : {1, 3, 16, 80}) {
    for (const int count : {16, 64, 160}) {
      Buffer<float> x(n - 1 + count, 1);
      fill_wild(random, x);
      Fenced<float> out(count, 2);
      table.window_energy_f32(x.data(), n, count, out.data());
      out.expect_fences_intact();
      for (int i = 0; i < count; ++i) {
        Sum sum;
        float plain = 0.0f;
        for (int j = 0; j < n; ++j) {
          sum.add(static_cast<double>(x[i + j]) * x[i + j]);
          plain += x[i + j] * x[i + j];
        }
        ASSERT_NEAR(out[i], sum.value, sum.bound()) << i;
        ASSERT_EQ(out[i], plain) << i << ", n " << n;
      }
    }
  }
}

void check_sharpen_f32(const KernelTable& table) {
  Random random(34);
  Buffer<float> taps(7, 1);
  random.fill(taps, -1.0f, 1.0f);
  for (const int n : {16, 32, 240}) {
    Buffer<float> x(n + 6, 1);
    fill_wild(random, x);
    const float* centre = x.data() + 3;
    Fenced<float> y(n, 3);
    table.sharpen_f32(centre, taps.data(), n, y.data());
    y.expect_fences_intact();
    for (int i = 0; i < n; ++i) {
      Sum after, before;
      float plain_after = 0.0f, plain_before = 0.0f;
      for (int j = 0; j < 7; ++j) {
        after.add(static_cast<double>(taps[j]) * centre[i - 3 + j]);
        before.add(static_cast<double>(taps[j]) * centre[i + 3 - j]);
        plain_after += centre[i - 3 + j] * taps[j];
        plain_before += centre[i + 3 - j] * taps[j];
      }
      const double expected =
          std::max(static_cast<double>(centre[i]), std::max(after.value, before.value));
      ASSERT_NEAR(y[i], expected, std::max(after.bound(), before.bound())) << i;
      ASSERT_EQ(y[i], std::max(centre[i], std::max(plain_after, plain_before))) << i;
    }
  }
}

void check_path_step_f32(const KernelTable& table) {
  Random random(35);
  for (const int reach : {1, 4, 6}) {
    for (const int n : {16, 32, 224}) {
      Buffer<float> score(n + 2 * reach, 1), gain(n, 1), cost(reach + 1, 2);
      random.fill(score, -8.0f, 0.0f);
      random.fill(gain, -1.0f, 2.0f);
      for (int j = 0; j <= reach; ++j) cost[j] = 0.3f * static_cast<float>(j * j);
      const float* at = score.data() + reach;
      for (const float jump : {-1e15f, -4.0f, 1.0f}) {
        Fenced<float> next(n, 1);
        table.path_step_f32(at, jump, cost.data(), reach, gain.data(), 0.7f, n, next.data());
        next.expect_fences_intact();
        for (int i = 0; i < n; ++i) {
          float best = jump;
          for (int j = -reach; j <= reach; ++j)
            best = std::max(best, at[i + j] - cost[std::abs(j)]);
          ASSERT_EQ(next[i], best + 0.7f * gain[i])
              << i << ", reach " << reach << ", jump " << jump;
        }
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
