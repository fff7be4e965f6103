// Between the layers of a sample loop and at its end: rectification, bytes, scaled sums, the draw
// of a label.
#include <limits>

#include "kernel_checks.h"

namespace pyvoc::kernels::testing {

void check_rectify_f32(const KernelTable& table) {
  Random random(31);
  for (const int n : {16, 32, 112}) {
    for (const bool positive : {true, false}) {
      Fenced<float> x(n, 1);
      std::vector<float> expected(n);
      float top = 0.0f, found = -1.0f;
      for (int i = 0; i < n; ++i) {
        const float v = random.uniform(-3.0f, positive ? 3.0f : -1.0f);
        x.data()[i] = v;
        expected[i] = v > 0.0f ? v : 0.0f;
        top = std::max(top, expected[i]);
      }
      table.rectify_f32(x.data(), n, &found);
      x.expect_fences_intact();
      ASSERT_EQ(found, top);
      for (int i = 0; i < n; ++i) ASSERT_EQ(x[i], expected[i]);
    }
  }
}

void check_bytes_f32(const KernelTable& table) {
  Random random(32);
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const int n : {16, 48, 80}) {
    for (const float zero_at : {0.0f, 127.0f}) {
      Buffer<float> x(n, 1);
      random.fill(x, -2.0f, 2.0f);
      x[0] = 1e30f, x[1] = -1e30f, x[2] = kInfinity, x[3] = -kInfinity, x[4] = 0.0f;
      Fenced<std::uint8_t> u(n, 3);
      table.bytes_f32(x.data(), 90.0f, zero_at, n, u.data());
      u.expect_fences_intact();
      ASSERT_EQ(u[4], static_cast<std::uint8_t>(zero_at));
      for (int i = 0; i < n; ++i) {
        const double exact = 90.0 * static_cast<double>(x[i]) + static_cast<double>(zero_at);
        const double wanted = std::min(std::max(exact, 0.0), 254.0);
        ASSERT_NEAR(u[i], wanted, 0.5001) << i << " of " << n;
      }
    }
  }
  Buffer<float> nan(16);
  nan[3] = std::numeric_limits<float>::quiet_NaN();
  Fenced<std::uint8_t> u(16);
  table.bytes_f32(nan.data(), 1.0f, 127.0f, 16, u.data());
  ASSERT_LE(u[3], 254);
}

void check_scaled_i32(const KernelTable& table) {
  Random random(33);
  for (const int n : {16, 32, 112}) {
    Buffer<std::int32_t> sums(n, 1);
    Buffer<float> scale(n, 1), init(n, 1);
    random.fill(scale, 1e-4f, 3e-3f);
    random.fill(init, -1.0f, 1.0f);
    constexpr int kMaxSum = 2048 * 254 * 129;
    for (int i = 0; i < n; ++i) sums[i] = random.integer(-kMaxSum, kMaxSum);
    Fenced<float> y(n, 1);
    const float factor = random.uniform(0.01f, 2.0f);
    table.scaled_i32(sums.data(), scale.data(), factor, init.data(), y.data(), n);
    y.expect_fences_intact();
    for (int i = 0; i < n; ++i) {
      Sum sum;
      sum.add(init[i]);
      sum.add(static_cast<double>(sums[i]) * scale[i] * factor);
      ASSERT_NEAR(y[i], sum.value, sum.bound()) << i << " of " << n;
    }
  }
}

void check_draw_label_f32(const KernelTable& table) {
  Random random(34);
  for (const int classes : {2, 16, 17, 32, 250, 256, 512, 1000, 1024, 4096}) {
    const int n = (classes + 15) / 16 * 16, whole = (n + 255) / 256 * 256;
    Buffer<float> logits(n, 1);
    random.fill(logits, -6.0f, 6.0f);
    for (int i = 0; i < n; i += 7) logits[i] -= 100.0f;  // e^-87 and less
    logits[classes / 2] = 40.0f + random.uniform(-1.0f, 1.0f);
    logits[classes - 1] = logits[classes / 2];
    for (int i = classes; i < n; ++i) logits[i] = -1e30f;
    std::vector<double> ends(n);  // of the classes' intervals
    double total = 0.0, top = -1e30;
    for (int i = 0; i < n; ++i) top = std::max(top, static_cast<double>(logits[i]));
    for (int i = 0; i < n; ++i) ends[i] = total += std::exp(static_cast<double>(logits[i]) - top);
    for (int round = 0; round < 64; ++round) {
      const float u = round == 0 ? 0.0f : round == 1 ? 1.0f - 0x1p-24f : random.uniform(0.0f, 1.0f);
      const double wanted = total * static_cast<double>(u);
      Fenced<float> scratch(static_cast<std::size_t>(whole + whole / 16));
      std::int32_t label = -1;
      table.draw_label_f32(logits.data(), n, u, scratch.data(), &label);
      scratch.expect_fences_intact();
      ASSERT_GE(label, 0);
      ASSERT_LT(label, n);
      // The draw lies in the label's interval, up to the rounding of the sums.
      const double slack = 4e-6 * total, begin = label == 0 ? 0.0 : ends[label - 1];
      ASSERT_LE(begin, wanted + slack) << "label " << label << " of " << classes << ", u " << u;
      ASSERT_GE(ends[label], wanted - slack) << "label " << label << " of " << classes;
    }
  }
  // Whatever the logits are, a label comes out.
  for (const float odd :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
        -std::numeric_limits<float>::infinity()}) {
    Buffer<float> logits(32);
    logits[5] = odd;
    Buffer<float> scratch(256 + 16);
    std::int32_t label = -1;
    table.draw_label_f32(logits.data(), 32, 0.5f, scratch.data(), &label);
    ASSERT_GE(label, 0);
    ASSERT_LT(label, 32);
  }
}

}  // namespace pyvoc::kernels::testing
