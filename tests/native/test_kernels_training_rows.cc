// The training kernels that work on rows: values and gradients against their formulas in float64.
#include <algorithm>

#include "kernel_checks.h"

namespace pyvoc::kernels::testing {
namespace {

constexpr std::size_t kSize = 48;
constexpr double kBound = 4e-6;

double sigmoid64(double x) { return 1.0 / (1.0 + std::exp(-x)); }

void copy(const Buffer<float>& from, Fenced<float>& to) {
  std::copy(from.data(), from.data() + from.size(), to.data());
}

}  // namespace

void check_nearly_f32(const KernelTable& table) {
  Random random(11);
  const Buffer<float> x = random_buffer(kSize, random, 3), noise = random_buffer(kSize, random, 5);
  Fenced<float> y(kSize, 1), same(kSize);
  copy(x, same);
  table.nearly_f32(x.data(), noise.data(), kSize, y.data());
  table.nearly_f32(same.data(), noise.data(), kSize, same.data());
  for (std::size_t i = 0; i < kSize; ++i) {
    EXPECT_EQ(y[i], std::min(std::max(x[i] + noise[i], -1.0f), 1.0f));
    EXPECT_EQ(same[i], y[i]);
  }
  y.expect_fences_intact();
  same.expect_fences_intact();
}

void check_gate_keep_f32(const KernelTable& table) {
  Random random(12);
  const Buffer<float> x = random_buffer(kSize, random, 1);
  Buffer<float> sums(kSize);
  random.fill(sums, -6.0f, 6.0f);
  Fenced<float> gate(kSize, 2), y(kSize, 3);
  copy(sums, gate);
  table.gate_keep_f32(x.data(), gate.data(), kSize, y.data());
  for (std::size_t i = 0; i < kSize; ++i) {
    const double g = sigmoid64(widen(sums[i]));
    EXPECT_NEAR(widen(gate[i]), g, sigmoid_bound(kTanhPrecise));
    EXPECT_NEAR(widen(y[i]), widen(x[i]) * g, sigmoid_bound(kTanhPrecise) + kUnitRoundoff);
  }
  gate.expect_fences_intact();
  y.expect_fences_intact();
}

void check_gate_back_f32(const KernelTable& table) {
  Random random(13);
  const Buffer<float> d = random_buffer(kSize, random, 1), x = random_buffer(kSize, random, 2);
  const Buffer<float> before = random_buffer(kSize, random);
  Buffer<float> gates(kSize);
  random.fill(gates, 0.0f, 1.0f);
  Fenced<float> gate(kSize, 3), d_x(kSize, 5);
  copy(gates, gate);
  copy(before, d_x);
  table.gate_back_f32(d.data(), x.data(), gate.data(), kSize, d_x.data());
  for (std::size_t i = 0; i < kSize; ++i) {
    const double g = widen(gates[i]), dy = widen(d[i]);
    EXPECT_NEAR(widen(d_x[i]), widen(before[i]) + dy * g, kBound);
    EXPECT_NEAR(widen(gate[i]), dy * widen(x[i]) * g * (1.0 - g), kBound);
  }
  gate.expect_fences_intact();
  d_x.expect_fences_intact();
}

void check_tanh_back_f32(const KernelTable& table) {
  Random random(14);
  const Buffer<float> d = random_buffer(kSize, random, 1), values = random_buffer(kSize, random);
  Fenced<float> y(kSize, 3);
  copy(values, y);
  table.tanh_back_f32(d.data(), y.data(), kSize);
  for (std::size_t i = 0; i < kSize; ++i) {
    const double v = widen(values[i]);
    EXPECT_NEAR(widen(y[i]), widen(d[i]) * (1.0 - v * v), kBound);
  }
  y.expect_fences_intact();
}

namespace {

// Steps of some rows, and what they are in float64.
struct Rows {
  Rows(int unit_count, int row_count, Random& random)
      : units(static_cast<std::size_t>(unit_count)),
        rows(static_cast<std::size_t>(row_count)),
        input(3 * units * rows),
        recurrent(3 * units * rows),
        state(random_buffer(units * rows, random, 3)) {
    random.fill(input, -3.0f, 3.0f);
    random.fill(recurrent, -3.0f, 3.0f);
  }
  struct Cell {
    double m, r, z, n, h, next;
  };
  Cell cell(std::size_t row, std::size_t i) const {
    const auto x = [&](std::size_t gate) { return widen(input[(3 * row + gate) * units + i]); };
    const auto m = [&](std::size_t gate) { return widen(recurrent[(3 * row + gate) * units + i]); };
    const double h = widen(state[row * units + i]);
    const double r = sigmoid64(x(0) + m(0)), z = sigmoid64(x(1) + m(1));
    const double n = std::tanh(x(2) + r * m(2));
    return {m(2), r, z, n, h, n + z * (h - n)};
  }

  std::size_t units, rows;
  Buffer<float> input, recurrent, state;
};

template <typename Check>
void for_rows(std::uint32_t seed, Check check) {
  Random random(seed);
  for (int units : {16, 48}) {
    for (int rows : {1, 3}) check(Rows(units, rows, random), random);
  }
}

}  // namespace

void check_row_gru_f32(const KernelTable& table) {
  for_rows(15, [&](const Rows& s, Random&) {
    Fenced<float> next(s.units * s.rows), kept(4 * s.units * s.rows, 1);
    RowGru g;
    g.units = static_cast<std::int32_t>(s.units);
    g.rows = static_cast<std::int32_t>(s.rows);
    g.input = s.input.data();
    g.recurrent = s.recurrent.data();
    g.state = s.state.data();
    g.next = next.data();
    g.kept = kept.data();
    table.row_gru_f32(g);
    for (std::size_t row = 0; row < s.rows; ++row) {
      for (std::size_t i = 0; i < s.units; ++i) {
        const Rows::Cell c = s.cell(row, i);
        const double found[4] = {c.m, c.r, c.z, c.n};
        for (std::size_t k = 0; k < 4; ++k) {
          EXPECT_NEAR(widen(kept[(4 * row + k) * s.units + i]), found[k], kBound);
        }
        EXPECT_NEAR(widen(next[row * s.units + i]), c.next, kBound);
      }
    }
    next.expect_fences_intact();
    kept.expect_fences_intact();
  });
}

void check_row_gru_back_f32(const KernelTable& table) {
  for_rows(16, [&](const Rows& s, Random& random) {
    const Buffer<float> d_next = random_buffer(s.units * s.rows, random);
    Fenced<float> d_state(s.units * s.rows), kept(4 * s.units * s.rows, 1);
    copy(d_next, d_state);
    for (std::size_t row = 0; row < s.rows; ++row) {
      for (std::size_t i = 0; i < s.units; ++i) {
        const Rows::Cell c = s.cell(row, i);
        const double values[4] = {c.m, c.r, c.z, c.n};
        for (std::size_t k = 0; k < 4; ++k) {
          kept.data()[(4 * row + k) * s.units + i] = static_cast<float>(values[k]);
        }
      }
    }
    RowGruBack g;
    g.units = static_cast<std::int32_t>(s.units);
    g.rows = static_cast<std::int32_t>(s.rows);
    g.state = s.state.data();
    g.kept = kept.data();
    g.d_state = d_state.data();
    table.row_gru_back_f32(g);
    for (std::size_t row = 0; row < s.rows; ++row) {
      for (std::size_t i = 0; i < s.units; ++i) {
        const Rows::Cell c = s.cell(row, i);
        const double dh = widen(d_next[row * s.units + i]);
        const double dn = dh * (1 - c.z) * (1 - c.n * c.n);
        const double dz = dh * (c.h - c.n) * c.z * (1 - c.z);
        const double dr = dn * c.m * c.r * (1 - c.r);
        const double expected[4] = {dn * c.r, dr, dz, dn};
        for (std::size_t k = 0; k < 4; ++k) {
          EXPECT_NEAR(widen(kept[(4 * row + k) * s.units + i]), expected[k], kBound);
        }
        EXPECT_NEAR(widen(d_state[row * s.units + i]), dh * c.z, kBound);
      }
    }
    d_state.expect_fences_intact();
    kept.expect_fences_intact();
  });
}

}  // namespace pyvoc::kernels::testing
