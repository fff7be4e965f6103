// Gated convolutions: row counts around every tier's tiles, one to five pairs of panels, values and
// bytes. What a sum may be off by passes through tanh and the logistic function, whose slopes are
// at most 1.
#include "conv_data.h"

namespace pyvoc::kernels::testing {
namespace {

double gated(double signal, double gate) { return std::tanh(signal) / (1.0 + std::exp(-gate)); }

// The bound on a gated value, from those on its two sums and on both functions.
double gated_bound(double signal, double gate, double tanh_bound) {
  return signal + 0.25 * gate + tanh_bound + sigmoid_bound(tanh_bound) + kUnitRoundoff;
}

template <typename T>
using FloatSlot = void (*)(const Dense<T>&, const GatedRows<float>*, std::int32_t) noexcept;

// Rows in two jobs; half of the cases read the weights
// from a later column on, some begin at given sums, some leave sums behind. `rounded`: the inputs
// are rounded to bfloat16 before they are multiplied, and the gates are as precise as that.
template <typename T>
void check_float(FloatSlot<T> run, bool rounded = false) {
  Random random(13);
  for (const Shape& shape : kShapes) {
    for (const int rows : kRowCounts) {
      const int column = rows % 2 == 0 ? 0 : 16, cols = column + total(shape);
      const int panels = 2 * shape.panels, units = 16 * shape.panels, width = 16 * panels;
      const int stride = units + (rows % 3 == 0 ? 16 : 0);
      const bool begins = rows % 3 == 1, leaves = shape.cols.size() > 1 && rows % 4 != 1;
      Inputs<float> x(shape, rows);
      for (Buffer<float>& buffer : x.buffers) random.fill(buffer, -1.0f, 1.0f);
      Buffer<T> weights(std::size_t(width) * cols);
      for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = random_weight<T>(random);
      Buffer<float> bias(width), begin(std::size_t(rows) * width);
      random.fill(bias, -3.0f, 3.0f);
      random.fill(begin, -3.0f, 3.0f);
      Dense<T> w;
      w.panels = panels;
      w.cols = cols;
      w.weights = weights.data();
      Fenced<float> value(std::size_t(rows) * stride), leave(std::size_t(rows) * width);
      Fenced<std::uint8_t> value_u8(std::size_t(rows) * stride);
      const Bytes bytes(units, 120.0f, random);
      const int cut = rows / 2;
      GatedRows<float> jobs[2];
      for (int j = 0; j < 2; ++j) {
        GatedRows<float>& job = jobs[j];
        const int first = j == 0 ? 0 : cut;
        job.rows = j == 0 ? cut : rows - cut;
        job.column = column;
        job.in = x.in;
        for (int s = 0; s < job.in.segments; ++s) job.in.base[s] += first * job.in.stride[s];
        job.out.bias = bias.data();
        job.out.stride = stride;
        job.out.value = value.data();
        if (rows % 2 == 0) {
          job.out.value_u8 = value_u8.data();
          bytes.set(job.out.value_inverse, job.out.value_offset);
        }
        job.out = advanced(job.out, std::ptrdiff_t{first} * stride);
        job.sums_stride = width;
        if (begins) job.begin = begin.data() + std::ptrdiff_t{first} * width;
        if (leaves) job.leave = leave.data() + std::ptrdiff_t{first} * width;
      }
      run(w, jobs, 2);

      value.expect_fences_intact();
      value_u8.expect_fences_intact();
      leave.expect_fences_intact();
      for (int r = 0; r < rows; ++r) {
        for (int u = 0; u < units; ++u) {
          Sum sums[2];  // the signal's and the gate's
          for (int half = 0; half < 2; ++half) {
            const int o = 16 * (2 * (u / 16) + half) + u % 16;
            const std::size_t at = std::size_t(r) * width + o;
            Sum& sum = sums[half];
            sum.add(begins ? double{begin[at]} : double{bias[o]});
            double once = 0.0;
            for (int c = 0; c < total(shape); ++c) {
              const float input = rounded ? nearest_bf16(x.at(r, c)) : x.at(r, c);
              sum.add(widen(weights[packed<T>(o, column + c, cols)]) * double{input});
              if (c + 1 == shape.cols[0]) once = sum.value;
              if (leaves && c + 1 == shape.cols[0] + shape.cols[1]) {
                ASSERT_NEAR(leave[at], 2 * once - sum.value, 3 * sum.bound()) << "row " << r;
              }
            }
            if (!leaves) {
              ASSERT_EQ(leave[at], leave.untouched());
            }
          }
          const std::size_t at = std::size_t(r) * stride + u;
          ASSERT_NEAR(
              value[at], gated(sums[0].value, sums[1].value),
              gated_bound(sums[0].bound(), sums[1].bound(), rounded ? kTanhFast : kTanhPrecise))
              << "row " << r << " of " << rows << ", unit " << u << " of " << units << ", cols "
              << cols;
          if (rows % 2 == 0) {
            ASSERT_NEAR(value_u8[at], bytes.of(double{value[at]}, u), 1);
          }
        }
        for (int u = units; u < stride; ++u) {
          ASSERT_EQ(value[std::size_t(r) * stride + u], value.untouched()) << "between rows";
        }
      }
    }
  }
}

}  // namespace

void check_gated_conv_f32(const KernelTable& table) { check_float<float>(table.gated_conv_f32); }
void check_gated_conv_bf16(const KernelTable& table) {
  check_float<Bf16>(table.gated_conv_bf16, table.bf16_products);
}

void check_gated_conv_i8(const KernelTable& table) {
  Random random(14);
  for (const Shape& shape : kShapes) {
    for (const int rows : kRowCounts) {
      const int cols = total(shape), panels = 2 * shape.panels, units = 16 * shape.panels;
      Inputs<std::uint8_t> x(shape, rows);
      for (Buffer<std::uint8_t>& buffer : x.buffers) {
        for (std::size_t i = 0; i < buffer.size(); ++i) buffer[i] = random_activation(random);
      }
      Buffer<std::int8_t> weights(std::size_t(16 * panels) * cols);
      for (std::size_t i = 0; i < weights.size(); ++i) {
        weights[i] = static_cast<std::int8_t>(random.integer(-127, 127));
      }
      Buffer<std::int32_t> row_sums(std::size_t(16) * panels);
      Buffer<float> bias(std::size_t(16) * panels), scale(std::size_t(16) * panels);
      random.fill(bias, -3.0f, 3.0f);
      for (int o = 0; o < 16 * panels; ++o) {
        scale[o] = random.uniform(1e-5f, 2e-5f);
        for (int c = 0; c < cols; ++c) row_sums[o] += weights[packed<std::int8_t>(o, c, cols)];
      }
      Dense<std::int8_t> w;
      w.panels = panels;
      w.cols = cols;
      w.weights = weights.data();
      w.row_sums = row_sums.data();
      Arena arena;
      if (table.cells) w.cells = nn::pack_cells(w, chunks_of(shape), arena);
      Fenced<float> value(std::size_t(rows) * units);
      Fenced<std::uint8_t> value_u8(std::size_t(rows) * units);
      const Bytes bytes(units, 120.0f, random);
      ConvOutput out;
      out.stride = units;
      out.bias = bias.data();
      out.scale = scale.data();
      out.value = value.data();
      out.value_u8 = value_u8.data();
      bytes.set(out.value_inverse, out.value_offset);
      GatedRows<std::uint8_t> job;
      job.in = x.in;
      job.out = out;
      job.rows = rows;
      table.gated_conv_i8(w, &job, 1);
      value.expect_fences_intact();
      value_u8.expect_fences_intact();
      for (int r = 0; r < rows; ++r) {
        for (int u = 0; u < units; ++u) {
          double sums[2];
          for (int half = 0; half < 2; ++half) {
            const int o = 16 * (2 * (u / 16) + half) + u % 16;
            std::int64_t exact = 0;
            for (int c = 0; c < cols; ++c) {
              exact += weights[packed<std::int8_t>(o, c, cols)] * x.at(r, c);
            }
            sums[half] = static_cast<double>(exact) * double{scale[o]} + double{bias[o]};
          }
          const std::size_t at = std::size_t(r) * units + u;
          ASSERT_NEAR(value[at], gated(sums[0], sums[1]), gated_bound(1e-5, 1e-5, kTanhFast))
              << "row " << r << " of " << rows << ", unit " << u << " of " << units;
          ASSERT_NEAR(value_u8[at], bytes.of(double{value[at]}, u), 1);
        }
      }
    }
  }
}

void check_pair_inputs_f32(const KernelTable& table) {
  Random random(15);
  for (const int n : {16, 48, 80}) {
    for (const int reach : {16, 80, 112}) {
      Buffer<float> x(std::size_t(n + 2 * reach));
      random.fill(x, -1.0f, 1.0f);
      for (const bool whole : {false, true}) {
        Fenced<float> sum(n), step(n), span(n);
        const float* here = x.data() + reach;
        table.pair_inputs_f32(here, reach, n, whole ? sum.data() : nullptr,
                              whole ? step.data() : nullptr, span.data());
        sum.expect_fences_intact();
        step.expect_fences_intact();
        span.expect_fences_intact();
        for (int i = 0; i < n; ++i) {
          ASSERT_EQ(span[i], here[i + reach] - here[i - reach]);
          ASSERT_EQ(sum[i], whole ? here[i + reach] + here[i] : sum.untouched());
          ASSERT_EQ(step[i], whole ? here[i + reach] - here[i] : step.untouched());
        }
      }
    }
  }
}

}  // namespace pyvoc::kernels::testing
