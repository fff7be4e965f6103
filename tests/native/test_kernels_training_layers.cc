// The training kernels of whole layers, GRU steps and the tree's loss, for 16 or 8 rows at once:
// values and gradients against their formulas in float64.
#include <algorithm>

#include "kernel_checks.h"

namespace pyvoc::kernels::testing {
namespace {

constexpr int kStride = 48;  // between units, where a kernel takes a stride

double sigmoid64(double x) { return 1.0 / (1.0 + std::exp(-x)); }

// The arrays of one step, [gates or units][lanes].
struct Step {
  Step(int unit_count, int lane_count, Random& random)
      : units(unit_count),
        lanes(lane_count),
        frame(random_buffer(gates() * std::size_t(lanes), random)),
        sample(random_buffer(gates() * std::size_t(lanes), random)),
        product(random_buffer(gates() * std::size_t(lanes), random)),
        bias(random_buffer(gates(), random)),
        diag(random_buffer(gates(), random)),
        state(random_buffer(std::size_t(units) * kStride, random)) {}
  std::size_t gates() const { return std::size_t(3) * units; }

  struct Cell {
    double r, z, n, m, h, next;
  };
  // Unit i of a lane in float64.
  Cell cell(int i, int lane, bool with_sample, bool with_diag) const {
    const double h = widen(state[std::size_t(i * kStride + lane)]);
    double x[3], m[3];
    for (int gate = 0; gate < 3; ++gate) {
      const std::size_t unit = std::size_t(gate * units + i);
      x[gate] = widen(frame[unit * std::size_t(lanes) + lane]);
      if (with_sample) x[gate] += widen(sample[unit * std::size_t(lanes) + lane]);
      m[gate] = widen(product[unit * std::size_t(lanes) + lane]) + widen(bias[unit]);
      if (with_diag) m[gate] += widen(diag[unit]) * h;
    }
    const double r = sigmoid64(x[0] + m[0]), z = sigmoid64(x[1] + m[1]);
    const double n = std::tanh(x[2] + r * m[2]);
    return {r, z, n, m[2], h, n + z * (h - n)};
  }

  int units, lanes;
  Buffer<float> frame, sample, product, bias, diag, state;
};

template <typename Check>
void for_steps(std::uint32_t seed, Check check) {
  Random random(seed);
  for (int units : {16, 48}) {
    for (bool with_diag : {false, true}) {
      for (int lanes : {8, 16}) {
        const Step step(units, lanes, random);
        check(step, with_diag, random);
      }
    }
  }
}

}  // namespace

void check_lane_gru_f32(const KernelTable& table) {
  for_steps(4, [&](const Step& s, bool with_diag, Random&) {
    for (bool with_sample : {false, true}) {
      Fenced<float> next(std::size_t(s.units) * kStride), kept(std::size_t(4 * s.units * s.lanes));
      LaneGru g;
      g.units = s.units;
      g.lanes = s.lanes;
      g.frame = s.frame.data();
      g.sample = with_sample ? s.sample.data() : nullptr;
      g.product = s.product.data();
      g.bias = s.bias.data();
      g.diag = with_diag ? s.diag.data() : nullptr;
      g.state = s.state.data();
      g.state_stride = kStride;
      g.next = next.data();
      g.kept = kept.data();
      table.lane_gru_f32(g);
      for (int i = 0; i < s.units; ++i) {
        for (int lane = 0; lane < s.lanes; ++lane) {
          const Step::Cell c = s.cell(i, lane, with_sample, with_diag);
          const double found[4] = {c.r, c.z, c.n, c.m};
          for (int k = 0; k < 4; ++k) {
            EXPECT_NEAR(widen(kept[std::size_t(((k * s.units) + i) * s.lanes + lane)]), found[k],
                        3e-6);
          }
          EXPECT_NEAR(widen(next[std::size_t(i * kStride + lane)]), c.next, 4e-6);
        }
      }
      next.expect_fences_intact();
      kept.expect_fences_intact();
    }
  });
}

void check_lane_gru_back_f32(const KernelTable& table) {
  for_steps(5, [&](const Step& s, bool with_diag, Random& random) {
    const std::size_t units = std::size_t(s.units), gates = 3 * units, lanes = std::size_t(s.lanes);
    Buffer<float> kept(4 * units * lanes);
    for (int i = 0; i < s.units; ++i) {
      for (int lane = 0; lane < s.lanes; ++lane) {
        const Step::Cell c = s.cell(i, lane, true, with_diag);
        const double values[4] = {c.r, c.z, c.n, c.m};
        for (std::size_t k = 0; k < 4; ++k) {
          kept[(k * units + std::size_t(i)) * lanes + std::size_t(lane)] =
              static_cast<float>(values[k]);
        }
      }
    }
    const Buffer<float> d_out = random_buffer(units * lanes, random);
    const Buffer<float> d_before = random_buffer(units * lanes, random);
    Fenced<float> d_state(units * lanes), d_product(gates * kStride), d_sample(gates * lanes);
    Fenced<float> d_frame(gates * lanes), d_bias(gates * lanes), d_diag(gates * lanes);
    std::copy(d_before.data(), d_before.data() + units * lanes, d_state.data());
    for (float* sum : {d_frame.data(), d_bias.data(), d_diag.data()}) {
      std::fill(sum, sum + gates * lanes, 0.5f);
    }
    LaneGruBack g;
    g.units = s.units;
    g.lanes = s.lanes;
    g.kept = kept.data();
    g.diag = with_diag ? s.diag.data() : nullptr;
    g.state = s.state.data();
    g.state_stride = kStride;
    g.d_out = d_out.data();
    g.d_state = d_state.data();
    g.d_product = d_product.data();
    g.product_stride = kStride;
    g.d_sample = d_sample.data();
    g.d_frame = d_frame.data();
    g.d_bias = d_bias.data();
    g.d_diag = d_diag.data();
    table.lane_gru_back_f32(g);
    constexpr double kBound = 6e-6;
    for (std::size_t i = 0; i < units; ++i) {
      for (std::size_t lane = 0; lane < lanes; ++lane) {
        const Step::Cell c = s.cell(static_cast<int>(i), static_cast<int>(lane), true, with_diag);
        const double dh = widen(d_out[i * lanes + lane]) + widen(d_before[i * lanes + lane]);
        const double da_n = dh * (1 - c.z) * (1 - c.n * c.n);
        const double da_z = dh * (c.h - c.n) * c.z * (1 - c.z);
        const double da_r = da_n * c.m * c.r * (1 - c.r);
        const double inputs[3] = {da_r, da_z, da_n}, products[3] = {da_r, da_z, da_n * c.r};
        double back = dh * c.z;
        for (std::size_t gate = 0; gate < 3; ++gate) {
          const std::size_t unit = gate * units + i, at = unit * lanes + lane;
          EXPECT_NEAR(widen(d_sample[at]), inputs[gate], kBound);
          EXPECT_NEAR(widen(d_frame[at]), 0.5 + inputs[gate], kBound);
          EXPECT_NEAR(widen(d_product[unit * kStride + lane]), products[gate], kBound);
          EXPECT_NEAR(widen(d_bias[at]), 0.5 + products[gate], kBound);
          const double diag = with_diag ? products[gate] * c.h : 0.0;
          EXPECT_NEAR(widen(d_diag[at]), 0.5 + diag, kBound);
          if (with_diag) back += widen(s.diag[unit]) * products[gate];
        }
        EXPECT_NEAR(widen(d_state[i * lanes + lane]), back, kBound);
      }
    }
    for (const Fenced<float>* array :
         {&d_state, &d_product, &d_sample, &d_frame, &d_bias, &d_diag}) {
      array->expect_fences_intact();
    }
  });
}

void check_tree_nll_f32(const KernelTable& table) {
  Random random(9);
  for (int inputs : {16, 48}) {
    constexpr int kCount = 37, kNodes = 512;
    const auto m = std::size_t(inputs);
    const Buffer<float> x = random_buffer(kCount * m, random);
    const Buffer<float> weight = random_buffer(kNodes * m, random);
    const Buffer<float> bias = random_buffer(kNodes, random);
    Buffer<float> factor = random_buffer(kNodes, random);
    for (std::size_t k = 0; k < kNodes; ++k) factor[k] *= 6.0f;  // some bits are nearly certain
    const Buffer<float> weights = random_buffer(kCount, random);
    Buffer<std::uint8_t> symbol(kCount);
    for (std::size_t i = 0; i < kCount; ++i) {
      symbol[i] = static_cast<std::uint8_t>(random.integer(0, 255));
    }
    symbol[0] = 0, symbol[1] = 255;
    Fenced<float> nll(kCount), d_x(kCount * m), d_weight(kNodes * m), d_bias(kNodes),
        d_factor(kNodes);
    std::vector<double> ref_dx(kCount * m), ref_dw(kNodes * m), ref_db(kNodes), ref_df(kNodes);
    TreeNll t;
    t.count = kCount;
    t.inputs = inputs;
    t.x = x.data();
    t.symbol = symbol.data();
    t.weights = weights.data();
    t.weight = weight.data();
    t.bias = bias.data();
    t.factor = factor.data();
    t.nll = nll.data();
    table.tree_nll_f32(t);  // without gradients
    const std::vector<float> alone(nll.data(), nll.data() + kCount);
    t.d_x = d_x.data();
    t.d_weight = d_weight.data();
    t.d_bias = d_bias.data();
    t.d_factor = d_factor.data();
    std::fill(t.d_weight, t.d_weight + kNodes * m, 0.0f);
    std::fill(t.d_bias, t.d_bias + kNodes, 0.0f);
    std::fill(t.d_factor, t.d_factor + kNodes, 0.0f);
    table.tree_nll_f32(t);
    for (std::size_t i = 0; i < kCount; ++i) {
      double expected = 0.0;
      for (int level = 0; level < 8; ++level) {
        const auto node = std::size_t((1 << level) | (symbol[i] >> (8 - level)));
        const double bit = (symbol[i] >> (7 - level)) & 1;
        double logit = 0.0, out[2];
        for (std::size_t c = 0; c < 2; ++c) {
          double a = widen(bias[256 * c + node]);
          for (std::size_t k = 0; k < m; ++k) {
            a += widen(weight[(256 * c + node) * m + k]) * widen(x[i * m + k]);
          }
          out[c] = std::tanh(a);
          logit += widen(factor[256 * c + node]) * out[c];
        }
        expected += std::log1p(std::exp(bit > 0 ? -logit : logit));
        const double d = (sigmoid64(logit) - bit) * widen(weights[i]);
        for (std::size_t c = 0; c < 2; ++c) {
          const std::size_t at = 256 * c + node;
          const double da = d * widen(factor[at]) * (1 - out[c] * out[c]);
          ref_df[at] += d * out[c];
          ref_db[at] += da;
          for (std::size_t k = 0; k < m; ++k) {
            ref_dx[i * m + k] += da * widen(weight[at * m + k]);
            ref_dw[at * m + k] += da * widen(x[i * m + k]);
          }
        }
      }
      EXPECT_NEAR(widen(nll[i]), expected, 1e-4);
      EXPECT_EQ(nll[i], alone[i]);
    }
    constexpr double kBound = 3e-4;
    for (std::size_t i = 0; i < kCount * m; ++i) EXPECT_NEAR(widen(d_x[i]), ref_dx[i], kBound);
    for (std::size_t i = 0; i < kNodes * m; ++i) EXPECT_NEAR(widen(d_weight[i]), ref_dw[i], kBound);
    for (std::size_t i = 0; i < kNodes; ++i) {
      EXPECT_NEAR(widen(d_bias[i]), ref_db[i], kBound);
      EXPECT_NEAR(widen(d_factor[i]), ref_df[i], kBound);
    }
    for (const Fenced<float>* array : {&nll, &d_x, &d_weight, &d_bias, &d_factor}) {
      array->expect_fences_intact();
    }
  }
}

}  // namespace pyvoc::kernels::testing
