// GRU gates: every kind of table row with float and int32 recurrent sums, with and without
// diagonals, against the step written out in float64.
#include "kernel_checks.h"

namespace pyvoc::kernels::testing {
namespace {

struct NoRows {};

constexpr int kStrides[] = {16, 32, 48, 112, 384};
constexpr int kPadding = 5;  // lanes at the end of each gate that hold no unit

double row_value(float x, double) { return x; }
double row_value(Bf16 x, double) { return widen(x); }
double row_value(std::int16_t q, double scale) { return q * scale; }

template <typename Row>
void fill_rows(Buffer<Row>& rows, Random& random) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if constexpr (std::is_same_v<Row, std::int16_t>) {
      // The sum of the three rows fits 16 bits.
      constexpr int kMax = 32767 / 3;
      const int extreme = i % 2 == 0 ? kMax : -kMax;
      rows[i] = static_cast<std::int16_t>(i % 7 == 0 ? extreme : random.integer(-kMax, kMax));
    } else {
      rows[i] = random_weight<Row>(random);
    }
  }
}

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

// Random gates of `stride` units, the last kPadding of them padding (all zeros).
template <typename Row, typename Recurrent>
struct Step {
  static constexpr bool kHasRows = !std::is_same_v<Row, NoRows>;
  using StoredRow = std::conditional_t<kHasRows, Row, float>;

  Step(int units, bool diagonal, Random& random)
      : stride(units),
        with_diag(diagonal),
        input(std::size_t(3) * units),
        scale(std::size_t(3) * units),
        diag(std::size_t(3) * units),
        bias_n(units),
        state(units),
        recurrent(std::size_t(3) * units) {
    random.fill(input, -3.0f, 3.0f);
    random.fill(scale, 1e-4f, 3e-4f);
    random.fill(diag, -1.0f, 1.0f);
    random.fill(bias_n, -1.0f, 1.0f);
    random.fill(state, -1.0f, 1.0f);
    state[0] = 1.0f, state[1] = -1.0f;
    input[0] = 40.0f, input[1] = -40.0f;  // far beyond the activations' clamps
    for (std::size_t i = 0; i < recurrent.size(); ++i) {
      if constexpr (std::is_same_v<Recurrent, float>) {
        recurrent[i] = random.uniform(-3.0f, 3.0f);
      } else {
        recurrent[i] = random.integer(-10000, 10000);
      }
    }
    for (auto& r : rows) {
      r = Buffer<StoredRow>(std::size_t(3) * units);
      fill_rows(r, random);
    }
    for (int gate = 0; gate < 3; ++gate) {
      for (int i = units - kPadding; i < units; ++i) {
        const std::size_t at = std::size_t(gate * units + i);
        input[at] = scale[at] = diag[at] = 0.0f;
        recurrent[at] = 0;
        for (auto& r : rows) r[at] = 0;
        if (gate == 0) bias_n[at] = state[at] = 0.0f;
      }
    }
  }

  GruGates gates(float* h, std::uint8_t* u8) const {
    GruGates g;
    g.stride = stride;
    g.input = input.data();
    for (int i = 0; i < 3 && kHasRows; ++i) g.rows[i] = rows[i].data();
    g.row_scale = kRowScale;
    g.recurrent = recurrent.data();
    g.scale = scale.data();
    g.diag = with_diag ? diag.data() : nullptr;
    g.bias_n = bias_n.data();
    g.state = h;
    g.state_u8 = u8;
    return g;
  }

  Sum input_sum(std::size_t at) const {
    Sum sum;
    sum.add(input[at]);
    if constexpr (kHasRows) {
      for (const auto& r : rows) sum.add(row_value(r[at], kRowScale));
    }
    return sum;
  }

  Sum recurrent_sum(int gate, int i) const {
    const std::size_t at = std::size_t(gate * stride + i);
    Sum sum;
    if constexpr (std::is_same_v<Recurrent, float>) {
      sum.add(recurrent[at]);
    } else {
      sum.add(static_cast<double>(recurrent[at]) * scale[at]);
    }
    if (gate == 2) sum.add(bias_n[i]);
    if (with_diag) sum.add(static_cast<double>(diag[at]) * state[i]);
    return sum;
  }

  static constexpr float kRowScale = 1.0f / 8192;
  int stride;
  bool with_diag;
  Buffer<float> input, scale, diag, bias_n, state;
  Buffer<Recurrent> recurrent;
  Buffer<StoredRow> rows[3]{Buffer<StoredRow>(0), Buffer<StoredRow>(0), Buffer<StoredRow>(0)};
};

template <typename Row, typename Recurrent>
void check_step(void (*run)(const GruGates&) noexcept, int stride, bool with_diag, Random& random) {
  constexpr bool kInt8 = std::is_same_v<Recurrent, std::int32_t>;
  constexpr double kTanh = kInt8 ? kTanhFast : kTanhPrecise, kSigmoid = sigmoid_bound(kTanh);
  const Step<Row, Recurrent> step(stride, with_diag, random);
  Fenced<float> state(stride);
  std::memcpy(state.data(), step.state.data(), std::size_t(stride) * sizeof(float));
  Fenced<std::uint8_t> state_u8(stride);
  run(step.gates(state.data(), kInt8 ? state_u8.data() : nullptr));

  state.expect_fences_intact();
  state_u8.expect_fences_intact();
  for (int i = 0; i < stride; ++i) {
    const Sum xr = step.input_sum(i), xz = step.input_sum(stride + i),
              xn = step.input_sum(2 * stride + i);
    const Sum mr = step.recurrent_sum(0, i), mz = step.recurrent_sum(1, i),
              mn = step.recurrent_sum(2, i);
    const double h = step.state[i];
    const double r = sigmoid(xr.value + mr.value), z = sigmoid(xz.value + mz.value);
    const double n = std::tanh(xn.value + r * mn.value);
    // A gate's error: the activation's, and its slope times the error of its argument.
    const double r_error = kSigmoid + 0.25 * (xr.bound() + mr.bound());
    const double z_error = kSigmoid + 0.25 * (xz.bound() + mz.bound());
    const double n_error =
        kTanh + xn.bound() + mn.bound() + std::fabs(mn.value) * (r_error + 2 * kUnitRoundoff);
    const double error = n_error + std::fabs(h - n) * z_error + 8 * kUnitRoundoff;
    const double expected = n + z * (h - n);
    ASSERT_NEAR(state[i], expected, error) << "unit " << i << " of " << stride;
    if (kInt8) {
      const double exact = 127.0 * state[i] + 127.0;
      ASSERT_NEAR(state_u8[i], exact, 0.5 + 1e-4) << "unit " << i << " of " << stride;
      ASSERT_LE(state_u8[i], 254) << "unit " << i << " of " << stride;
    }
    // Padding stays zero: tanh(0) is 0 on every tier.
    if (i >= stride - kPadding) {
      ASSERT_EQ(state[i], 0.0f) << "padding unit " << i << " of " << stride;
      if (kInt8) {
        ASSERT_EQ(state_u8[i], 127) << "padding unit " << i << " of " << stride;
      }
    }
  }
}

template <typename Row, typename Recurrent>
void check_gru(void (*run)(const GruGates&) noexcept) {
  Random random(6);
  for (const int stride : kStrides) {
    for (const bool with_diag : {false, true}) {
      SCOPED_TRACE(with_diag ? "with diagonals" : "without diagonals");
      check_step<Row, Recurrent>(run, stride, with_diag, random);
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
}

}  // namespace

void check_gru_none_f32(const KernelTable& table) { check_gru<NoRows, float>(table.gru_none_f32); }
void check_gru_f32_f32(const KernelTable& table) { check_gru<float, float>(table.gru_f32_f32); }
void check_gru_bf16_f32(const KernelTable& table) { check_gru<Bf16, float>(table.gru_bf16_f32); }
void check_gru_i16_f32(const KernelTable& table) {
  check_gru<std::int16_t, float>(table.gru_i16_f32);
}
void check_gru_none_i32(const KernelTable& table) {
  check_gru<NoRows, std::int32_t>(table.gru_none_i32);
}
void check_gru_f32_i32(const KernelTable& table) {
  check_gru<float, std::int32_t>(table.gru_f32_i32);
}
void check_gru_bf16_i32(const KernelTable& table) {
  check_gru<Bf16, std::int32_t>(table.gru_bf16_i32);
}
void check_gru_i16_i32(const KernelTable& table) {
  check_gru<std::int16_t, std::int32_t>(table.gru_i16_i32);
}

}  // namespace pyvoc::kernels::testing
