// Convolutions: row counts around every tier's tiles, odd and even numbers of panels, one to three
// segments that overlap as the taps of a convolution do, every kind of output.
#include "conv_data.h"

namespace pyvoc::kernels::testing {
namespace {

template <typename T>
using FloatSlot = void (*)(const Dense<T>&, const ConvInput<float>&, std::int32_t,
                           const ConvOutput&) noexcept;

template <typename T>
void check_float(FloatSlot<T> run) {
  Random random(3);
  for (const Shape& shape : kShapes) {
    for (const int rows : kRowCounts) {
      const int cols = total(shape), width = 16 * shape.panels;
      const int stride = width + (rows % 3 == 0 ? 16 : 0);
      Inputs<float> x(shape, rows);
      for (Buffer<float>& buffer : x.buffers) random.fill(buffer, -2.0f, 2.0f);
      Buffer<T> weights(std::size_t(width) * cols);
      for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = random_weight<T>(random);
      Buffer<float> bias = random_buffer(width, random);
      Dense<T> w;
      w.panels = shape.panels;
      w.cols = cols;
      w.weights = weights.data();
      const std::size_t n = std::size_t(rows) * stride;
      Fenced<float> value(n), active(n);
      Fenced<std::uint8_t> value_u8(n), active_u8(n);
      ConvOutput out;
      out.stride = stride;
      out.bias = bias.data();
      out.leak = 0.2f;
      const bool bytes = rows % 2 == 0;
      const Bytes value_bytes(width, 11.0f, random), active_bytes(width, 17.0f, random);
      out.value = value.data();
      out.active = active.data();
      const Buffer<float> added = random_buffer(n, random);
      const bool adds = rows % 4 < 2;
      if (adds) out.add = added.data();
      if (bytes) {
        out.value_u8 = value_u8.data();
        out.active_u8 = active_u8.data();
        value_bytes.set(out.value_inverse, out.value_offset);
        active_bytes.set(out.active_inverse, out.active_offset);
      }
      run(w, x.in, rows, out);

      value.expect_fences_intact();
      active.expect_fences_intact();
      value_u8.expect_fences_intact();
      active_u8.expect_fences_intact();
      for (int r = 0; r < rows; ++r) {
        for (int o = 0; o < width; ++o) {
          Sum sum;
          sum.add(bias[o]);
          for (int c = 0; c < cols; ++c) {
            sum.add(widen(weights[packed<T>(o, c, cols)]) * x.at(r, c));
          }
          const std::size_t at = std::size_t(r) * stride + o;
          if (adds) sum.add(double{added[at]});
          ASSERT_NEAR(value[at], sum.value, sum.bound())
              << "row " << r << " of " << rows << ", output " << o << " of " << width << ", cols "
              << cols;
          const float v = value[at];
          ASSERT_FLOAT_EQ(active[at], v > 0.0f ? v : 0.2f * v);
          if (!bytes) continue;
          ASSERT_NEAR(value_u8[at], value_bytes.of(v, o), 1);  // 1: halves, differently rounded
          ASSERT_NEAR(active_u8[at], active_bytes.of(active[at], o), 1);
        }
      }
    }
  }
}

}  // namespace

void check_conv_f32(const KernelTable& table) { check_float<float>(table.conv_f32); }
void check_conv_bf16(const KernelTable& table) { check_float<Bf16>(table.conv_bf16); }

void check_conv_i8(const KernelTable& table) {
  Random random(4);
  for (const Shape& shape : kShapes) {
    for (const int rows : kRowCounts) {
      const int cols = total(shape), width = 16 * shape.panels;
      const int stride = width + (rows % 3 == 0 ? 16 : 0);
      Inputs<std::uint8_t> x(shape, rows);
      for (Buffer<std::uint8_t>& buffer : x.buffers) {
        for (std::size_t i = 0; i < buffer.size(); ++i) buffer[i] = random_activation(random);
      }
      Buffer<std::int8_t> weights(std::size_t(width) * cols);
      for (std::size_t i = 0; i < weights.size(); ++i) {  // pairs are not bounded here
        const int kind = random.integer(0, 3);
        weights[i] = static_cast<std::int8_t>(kind == 0   ? 127
                                              : kind == 1 ? -127
                                                          : random.integer(-127, 127));
      }
      Buffer<std::int32_t> row_sums(width);
      for (int o = 0; o < width; ++o) {
        for (int c = 0; c < cols; ++c) row_sums[o] += weights[packed<std::int8_t>(o, c, cols)];
      }
      Dense<std::int8_t> w;
      w.panels = shape.panels;
      w.cols = cols;
      w.weights = weights.data();
      w.row_sums = row_sums.data();
      Arena arena;
      if (table.cells) w.cells = nn::pack_cells(w, chunks_of(shape), arena);

      // The sums themselves: floats hold them exactly.
      Buffer<float> bias(width), scale(width);
      for (int o = 0; o < width; ++o) scale[o] = 1.0f;
      const std::size_t n = std::size_t(rows) * stride;
      Fenced<float> sums(n);
      ConvOutput out;
      out.stride = stride;
      out.bias = bias.data();
      out.scale = scale.data();
      out.value = sums.data();
      table.conv_i8(w, x.in, rows, out);
      sums.expect_fences_intact();
      for (int r = 0; r < rows; ++r) {
        for (int o = 0; o < width; ++o) {
          std::int64_t expected = 0;
          for (int c = 0; c < cols; ++c) {
            expected += weights[packed<std::int8_t>(o, c, cols)] * x.at(r, c);
          }
          ASSERT_LT(std::abs(expected), 1 << 24);
          ASSERT_EQ(sums[std::size_t(r) * stride + o], static_cast<float>(expected))
              << "row " << r << " of " << rows << ", output " << o << ", cols " << cols;
        }
      }

      // What is made of them.
      random.fill(bias, -30.0f, 30.0f);
      for (int o = 0; o < width; ++o) scale[o] = random.uniform(1e-4f, 2e-4f);
      Fenced<float> value(n), active(n);
      Fenced<std::uint8_t> value_u8(n), active_u8(n);
      out.leak = 0.25f;
      out.value = value.data();
      out.active = active.data();
      out.value_u8 = value_u8.data();
      out.active_u8 = active_u8.data();
      const Bytes value_bytes(width, 2.0f, random), active_bytes(width, 3.0f, random);
      value_bytes.set(out.value_inverse, out.value_offset);
      active_bytes.set(out.active_inverse, out.active_offset);
      table.conv_i8(w, x.in, rows, out);
      value_u8.expect_fences_intact();
      active_u8.expect_fences_intact();
      for (std::size_t i = 0; i < n; ++i) {
        const std::size_t o = i % std::size_t(stride);
        if (o >= std::size_t(width)) {
          ASSERT_EQ(value[i], value.untouched()) << "between rows";
          continue;
        }
        const float v = value[i];
        ASSERT_NEAR(v, double{sums[i]} * scale[o] + bias[o], 1e-5 * (std::fabs(v) + 30.0));
        ASSERT_FLOAT_EQ(active[i], v > 0.0f ? v : 0.25f * v);
        ASSERT_NEAR(value_u8[i], value_bytes.of(v, o), 1);
        ASSERT_NEAR(active_u8[i], active_bytes.of(active[i], o), 1);
        ASSERT_LE(value_u8[i], 254);
        ASSERT_LE(active_u8[i], 254);
      }
    }
  }
}

void check_conv_finish_f32(const KernelTable& table) {
  Random random(6);
  for (const int panels : {1, 2, 5}) {
    for (const int rows : {1, 2, 7}) {
      const int width = 16 * panels, stride = width + (rows % 2 == 0 ? 16 : 0);
      Buffer<float> sums(std::size_t(rows) * width), bias(width), scale(width);
      random.fill(sums, -900.0f, 900.0f);
      random.fill(bias, -3.0f, 3.0f);
      random.fill(scale, 0.5f, 2.0f);
      const Bytes value_bytes(width, 0.1f, random), active_bytes(width, 0.2f, random);
      for (const bool scaled : {false, true}) {
        const std::size_t n = std::size_t(rows) * stride;
        Fenced<float> value(n), active(n);
        Fenced<std::uint8_t> value_u8(n), active_u8(n);
        ConvOutput out;
        out.stride = stride;
        out.bias = bias.data();
        out.scale = scaled ? scale.data() : nullptr;
        out.leak = 0.2f;
        out.value = value.data();
        out.active = active.data();
        out.value_u8 = value_u8.data();
        out.active_u8 = active_u8.data();
        value_bytes.set(out.value_inverse, out.value_offset);
        active_bytes.set(out.active_inverse, out.active_offset);
        table.conv_finish_f32(sums.data(), panels, rows, out);

        value.expect_fences_intact();
        active.expect_fences_intact();
        value_u8.expect_fences_intact();
        active_u8.expect_fences_intact();
        for (std::size_t i = 0; i < n; ++i) {
          const std::size_t o = i % std::size_t(stride);
          if (o >= std::size_t(width)) {
            ASSERT_EQ(value[i], value.untouched()) << "between rows";
            continue;
          }
          const double factor = scaled ? double{scale[o]} : 1.0;
          const double sum = sums[i / std::size_t(stride) * width + o];
          const float v = value[i];
          ASSERT_NEAR(v, sum * factor + bias[o], 2e-7 * (std::fabs(sum * factor) + 3.0));
          ASSERT_FLOAT_EQ(active[i], v > 0.0f ? v : 0.2f * v);
          ASSERT_NEAR(value_u8[i], value_bytes.of(v, o), 1);
          ASSERT_NEAR(active_u8[i], active_bytes.of(active[i], o), 1);
        }
      }
    }
  }
}

void check_row_dots_f32(const KernelTable& table) {
  Random random(5);
  for (const int n : {16, 32, 112, 224}) {
    for (const int rows : {1, 15, 16, 17, 40}) {
      const int stride = 16, whole = (rows + 15) / 16 * 16;
      Buffer<float> w = random_buffer(n, random);
      Buffer<float> x = random_buffer(std::size_t(whole - 1) * stride + n, random, 1);
      Fenced<float> y(whole);
      table.row_dots_f32(w.data(), n, x.data(), stride, rows, 0.75f, y.data());
      y.expect_fences_intact();
      for (int r = 0; r < rows; ++r) {
        Sum sum;
        sum.add(0.75);
        for (int c = 0; c < n; ++c) sum.add(double{w[c]} * x[std::size_t(r) * stride + c]);
        ASSERT_NEAR(y[r], sum.value, sum.bound()) << "row " << r << " of " << rows;
      }
    }
  }
}

}  // namespace pyvoc::kernels::testing
