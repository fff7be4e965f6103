// The kernel table: one function pointer per op, filled tier by tier, resolved once.
//
// A tier (kernels/tiers/<tier>.cc) is this table with the slots that it is best at; the resolver
// takes each slot from the best tier that the processor has. Kernels are total and real-time safe:
// sizes were checked when the weights were packed. They read whole vectors: see views.h for the
// padding.
//
// Slots come in groups, each with a switch (PYVOC_HAS_...; 1 unless the build says 0): in a build
// that leaves a group out, its slots are null in every tier, and what packs weights says so.
#ifndef PYVOC_KERNELS_TABLE_H_
#define PYVOC_KERNELS_TABLE_H_

#include <cstddef>
#include <cstdint>

#include "base/realtime.h"
#include "kernels/conv_views.h"
#include "kernels/training_views.h"
#include "kernels/views.h"

// K(name, (arguments)): every kernel returns void.
//
// Dense products, and what stands between them and the next layer.
#define PYVOC_DENSE_SLOTS(K)                                                                    \
  /* y[0 .. 16 panels) = init + W x; init may be null (zeros). */                               \
  K(dense_f32, (const Dense<float>& w, const float* x, const float* init, float* y))            \
  K(dense_bf16, (const Dense<Bf16>& w, const float* x, const float* init, float* y))            \
  /* y = W u with u in 0..254: exact int32 sums, the same on every tier. */                     \
  K(dense_i8, (const Dense<std::int8_t>& w, const std::uint8_t* u, std::int32_t* y))            \
  /* x[i] = tanh(x[i]), in place; n is padded to 16. */                                         \
  K(tanh_f32, (float* x, std::int32_t n))                                                       \
  /* u = round(x factor + zero_at), within 0..254; n is a multiple of 16. */                    \
  K(bytes_f32, (const float* x, float factor, float zero_at, std::int32_t n, std::uint8_t* u))  \
  /* y[i] = init[i] + sums[i] * (scale[i] factor); n is a multiple of 16. */                    \
  K(scaled_i32, (const std::int32_t* sums, const float* scale, float factor, const float* init, \
                 float* y, std::int32_t n))

// The dense products for `rows` inputs at once: y[i] is, bit for bit, what x[i] gives alone. init
// may be null.
#define PYVOC_DENSE_MANY_SLOTS(K)                                                            \
  K(dense_f32_many, (const Dense<float>& w, const float* const* x, const float* const* init, \
                     float* const* y, std::int32_t rows))                                    \
  K(dense_bf16_many, (const Dense<Bf16>& w, const float* const* x, const float* const* init, \
                      float* const* y, std::int32_t rows))                                   \
  K(dense_i8_many, (const Dense<std::int8_t>& w, const std::uint8_t* const* u,               \
                    std::int32_t* const* y, std::int32_t rows))

// Products with block-sparse matrices.
#define PYVOC_SPARSE_SLOTS(K)                                                                \
  K(sparse8x4_f32, (const Sparse8x4<float>& w, const float* x, float* y))                    \
  K(sparse8x4_bf16, (const Sparse8x4<Bf16>& w, const float* x, float* y))                    \
  K(sparse8x4_i8, (const Sparse8x4<std::int8_t>& w, const std::uint8_t* u, std::int32_t* y)) \
  /* The same for four inputs u[0..3] at once, sharing the weights. */                       \
  K(sparse8x4_i8_x4,                                                                         \
    (const Sparse8x4<std::int8_t>& w, const std::uint8_t* const* u, std::int32_t* const* y)) \
  K(sparse16x1_f32, (const Sparse16x1& w, const float* x, float* y))

// GRU gates: <rows>_<recurrent>; "none": no table rows.
#define PYVOC_GRU_SLOTS(K)             \
  K(gru_none_f32, (const GruGates& g)) \
  K(gru_none_i32, (const GruGates& g))

// The same with rows of tables added: inputs that are classes.
#define PYVOC_GRU_ROWS_SLOTS(K)        \
  K(gru_f32_f32, (const GruGates& g))  \
  K(gru_bf16_f32, (const GruGates& g)) \
  K(gru_i16_f32, (const GruGates& g))  \
  K(gru_f32_i32, (const GruGates& g))  \
  K(gru_bf16_i32, (const GruGates& g)) \
  K(gru_i16_i32, (const GruGates& g))

// Layers that end in a gate of their own, or in tanh as bytes.
#define PYVOC_GATE_SLOTS(K)                                                                     \
  /* x[i] *= logistic function of gates[i]; n is padded to 16. */                               \
  K(gate_f32, (float* x, const float* gates, std::int32_t n))                                   \
  /* y[i] = tanh(bias[i] + sums[i] * scale[i]), u[i] = round(127 y[i]) + 127; n is padded to    \
     16. As precise as bytes are. */                                                            \
  K(tanh_i32, (const std::int32_t* sums, const float* scale, const float* bias, std::int32_t n, \
               float* y, std::uint8_t* u))                                                      \
  /* The same of y[i] = x[i] times the logistic function of that; |x[i]| <= 1, x may be y. */   \
  K(gate_i32, (const float* x, const std::int32_t* sums, const float* scale, const float* bias, \
               std::int32_t n, float* y, std::uint8_t* u))

// Drawing a class by walking a tree of binary decisions.
#define PYVOC_TREE_SLOTS(K)                                                                     \
  /* y[i] = init[i] + offset[i] + sums[i] * scale[i]; n is padded to 16. */                     \
  K(scale_i32, (const std::int32_t* sums, const float* scale, const float* offset,              \
                const float* init, float* y, std::int32_t n))                                   \
  /* path = the four decisions (first one highest) down the tree; a node's branch is taken when \
     its logit is above thresholds[node's lane], [16]. */                                       \
  K(dual_fc_path,                                                                               \
    (const DualFcTree& t, const float* x, const float* thresholds, std::int32_t* path))         \
  /* logits[16] of the 15 nodes. */                                                             \
  K(dual_fc_tree, (const DualFcTree& t, const float* x, float* logits))

// Drawing a label from a softmax. Sizes n are multiples of 16.
#define PYVOC_SAMPLING_SLOTS(K)                                                                  \
  /* x = max(x, 0); top[0] = the largest. */                                                     \
  K(rectify_f32, (float* x, std::int32_t n, float* top))                                         \
  /* label = how many labels' cumulated softmax is at most u, at most n - 1. scratch: n, up to a \
     multiple of 256, and a 16th more. */                                                        \
  K(draw_label_f32,                                                                              \
    (const float* logits, std::int32_t n, float u, float* scratch, std::int32_t* label))

// y = sum over k < count of weights[k] rows[k]; n is a multiple of 16.
#define PYVOC_MIX_SLOTS(K)                                                                       \
  K(mix_rows_f32, (const float* const* rows, const float* weights, std::int32_t count, float* y, \
                   std::int32_t n))

// Convolutions (conv_views.h): rows of sums of w's columns, then what `out` says.
#define PYVOC_CONV_SLOTS(K)                                                                        \
  K(conv_f32,                                                                                      \
    (const Dense<float>& w, const ConvInput<float>& in, std::int32_t rows, const ConvOutput& out)) \
  K(conv_bf16,                                                                                     \
    (const Dense<Bf16>& w, const ConvInput<float>& in, std::int32_t rows, const ConvOutput& out))  \
  /* Inputs are 0..254, weights -127..127; the int32 sums are the same on every tier. */           \
  K(conv_i8, (const Dense<std::int8_t>& w, const ConvInput<std::uint8_t>& in, std::int32_t rows,   \
              const ConvOutput& out))                                                              \
  /* What `out` says of sums [rows][16 panels] that came from elsewhere; value = sum + bias when   \
     out.scale is null. */                                                                         \
  K(conv_finish_f32,                                                                               \
    (const float* sums, std::int32_t panels, std::int32_t rows, const ConvOutput& out))            \
  /* y[i] = bias + sum over j < n of w[j] x[i stride + j], i < rows; n is a multiple of 16. Reads  \
     and writes up to the next multiple of 16 rows. */                                             \
  K(row_dots_f32, (const float* w, std::int32_t n, const float* x, std::ptrdiff_t stride,          \
                   std::int32_t rows, float bias, float* y))

// Dilated convolutions with a gate.
#define PYVOC_GATED_CONV_SLOTS(K)                                                                 \
  /* Sums in pairs of panels: tanh of the first panel, times the logistic function of the second. \
     int8 is as precise as bytes are; bfloat16 rounds its inputs where the tier multiplies such   \
     numbers (KernelTable::bf16_products). */                                                     \
  K(gated_conv_f32, (const Dense<float>& w, const GatedRows<float>* jobs, std::int32_t count))    \
  K(gated_conv_bf16, (const Dense<Bf16>& w, const GatedRows<float>* jobs, std::int32_t count))    \
  K(gated_conv_i8,                                                                                \
    (const Dense<std::int8_t>& w, const GatedRows<std::uint8_t>* jobs, std::int32_t count))       \
  /* sum = x[i + reach] + x[i], step = x[i + reach] - x[i], span = x[i + reach] - x[i - reach];   \
     n is a multiple of 16; sum and step may be null. */                                          \
  K(pair_inputs_f32,                                                                              \
    (const float* x, std::ptrdiff_t reach, std::int32_t n, float* sum, float* step, float* span))

// Convolutions of few taps, by transforms.
#define PYVOC_WINOGRAD_SLOTS(K)                                                                    \
  /* Three-tap convolutions, tile by tile: w's columns are the channels at each of the six points, \
     weights transformed. scratch: [tiles][6][channels]. */                                        \
  K(winograd_f32, (const Dense<float>& w, const WinogradInput& in, std::int32_t tiles,             \
                   float* scratch, const ConvOutput& out))

// Signal analysis, for feature extraction. Sums are taken in order without fused products, so every
// tier gives the same bits. Counts of results are multiples of 16.
#define PYVOC_SIGNAL_SLOTS(K)                                                                    \
  /* out[l] = sum over j < n of x[j] y[j + l], l < lags. */                                      \
  K(correlate_f32,                                                                               \
    (const float* x, const float* y, std::int32_t n, std::int32_t lags, float* out))             \
  /* y[i] = x[i] + sum over k of taps[k] x[i - 1 - k], i < n. */                                 \
  K(fir_f32, (const float* x, const float* taps, std::int32_t n_taps, std::int32_t n, float* y)) \
  /* out[i] = sum over j < n of x[i + j]^2, i < count. */                                        \
  K(window_energy_f32, (const float* x, std::int32_t n, std::int32_t count, float* out))         \
  /* y[i] = max(x[i], sum over j < 7 of taps[j] x[i - 3 + j], the same with x[i + 3 - j]). */    \
  K(sharpen_f32, (const float* x, const float* taps, std::int32_t n, float* y))                  \
  /* next[i] = weight gain[i] + max(jump, score[i + j] - cost[|j|] for |j| <= reach), i < n;     \
   * cost[0] is 0. */                                                                            \
  K(path_step_f32, (const float* score, float jump, const float* cost, std::int32_t reach,       \
                    const float* gain, float weight, std::int32_t n, float* next))               \
  /* top[0] = max of x[i], i < n; then x[i] -= top[0]. */                                        \
  K(lower_f32, (float* x, std::int32_t n, float* top))

// Training (training_views.h): on 16 or 8 rows of a batch at once, then, from mix_rows_f32 on, on
// rows. Sizes n and units are multiples of 16.
#define PYVOC_TRAINING_SLOTS(K)                                                                    \
  /* y[rows][lanes] = W x. */                                                                      \
  K(lane_product_f32,                                                                              \
    (const LaneBlocks& w, std::int32_t lanes, const float* x, std::int32_t x_stride, float* y))    \
  /* y[cols][lanes] += W^T x. */                                                                   \
  K(lane_product_back_f32,                                                                         \
    (const LaneBlocks& w, std::int32_t lanes, const float* x, std::int32_t x_stride, float* y))    \
  /* gradient[block][8][4] += sums over `vectors` vectors of d[row] h[col]; a unit's vectors lie   \
     side by side. w.weights is not read. */                                                       \
  K(lane_outer_f32, (const LaneBlocks& w, const float* d, std::int32_t d_stride, const float* h,   \
                     std::int32_t h_stride, std::int32_t vectors, float* gradient))                \
  K(lane_gru_f32, (const LaneGru& g))                                                              \
  K(lane_gru_back_f32, (const LaneGruBack& g))                                                     \
  /* y[j y_stride + i] = x[i x_stride + j], row i < lanes, unit j < units; and back. */            \
  K(lanes_from_rows_f32, (const float* x, std::ptrdiff_t x_stride, std::int32_t lanes,             \
                          std::int32_t units, float* y, std::ptrdiff_t y_stride))                  \
  K(rows_from_lanes_f32, (const float* x, std::ptrdiff_t x_stride, std::int32_t lanes,             \
                          std::int32_t units, float* y, std::ptrdiff_t y_stride))                  \
  /* y[j y_stride + i] = x[i x_stride + j] for tiles of 16 x 16, x_step and y_step apart. */       \
  K(transpose_tiles_f32,                                                                           \
    (const float* x, std::ptrdiff_t x_stride, std::ptrdiff_t x_step, float* y,                     \
     std::ptrdiff_t y_stride, std::ptrdiff_t y_step, std::int32_t tiles))                          \
  /* rows[k] += weights[k] x; the rows are different ones. */                                      \
  K(spread_row_f32, (const float* x, const float* weights, std::int32_t count, float* const* rows, \
                     std::int32_t n))                                                              \
  K(tree_nll_f32, (const TreeNll& t))                                                              \
  /* y = x + noise, within -1..1; y may be x. */                                                   \
  K(nearly_f32, (const float* x, const float* noise, std::int32_t n, float* y))                    \
  /* gate becomes the logistic function of it, y = x gate. */                                      \
  K(gate_keep_f32, (const float* x, float* gate, std::int32_t n, float* y))                        \
  /* Back from d, the gradient of y: d_x += d gate; gate becomes the gradient of its sums. */      \
  K(gate_back_f32, (const float* d, const float* x, float* gate, std::int32_t n, float* d_x))      \
  /* y, a tanh of sums whose gradient is d, becomes the gradient of the sums. */                   \
  K(tanh_back_f32, (const float* d, float* y, std::int32_t n))                                     \
  K(row_gru_f32, (const RowGru& g))                                                                \
  K(row_gru_back_f32, (const RowGruBack& g))

#define PYVOC_KERNEL_SLOTS(K) \
  PYVOC_DENSE_SLOTS(K)        \
  PYVOC_DENSE_MANY_SLOTS(K)   \
  PYVOC_SPARSE_SLOTS(K)       \
  PYVOC_GRU_SLOTS(K)          \
  PYVOC_GRU_ROWS_SLOTS(K)     \
  PYVOC_GATE_SLOTS(K)         \
  PYVOC_TREE_SLOTS(K)         \
  PYVOC_SAMPLING_SLOTS(K)     \
  PYVOC_MIX_SLOTS(K)          \
  PYVOC_CONV_SLOTS(K)         \
  PYVOC_GATED_CONV_SLOTS(K)   \
  PYVOC_WINOGRAD_SLOTS(K)     \
  PYVOC_SIGNAL_SLOTS(K)       \
  PYVOC_TRAINING_SLOTS(K)

#ifndef PYVOC_HAS_DENSE
#define PYVOC_HAS_DENSE 1
#endif
#ifndef PYVOC_HAS_DENSE_MANY
#define PYVOC_HAS_DENSE_MANY 1
#endif
#ifndef PYVOC_HAS_SPARSE
#define PYVOC_HAS_SPARSE 1
#endif
#ifndef PYVOC_HAS_GRU
#define PYVOC_HAS_GRU 1
#endif
#ifndef PYVOC_HAS_GRU_ROWS
#define PYVOC_HAS_GRU_ROWS 1
#endif
#ifndef PYVOC_HAS_GATE
#define PYVOC_HAS_GATE 1
#endif
#ifndef PYVOC_HAS_TREE
#define PYVOC_HAS_TREE 1
#endif
#ifndef PYVOC_HAS_SAMPLING
#define PYVOC_HAS_SAMPLING 1
#endif
#ifndef PYVOC_HAS_MIX
#define PYVOC_HAS_MIX 1
#endif
#ifndef PYVOC_HAS_CONV
#define PYVOC_HAS_CONV 1
#endif
#ifndef PYVOC_HAS_GATED_CONV
#define PYVOC_HAS_GATED_CONV 1
#endif
#ifndef PYVOC_HAS_WINOGRAD
#define PYVOC_HAS_WINOGRAD 1
#endif
#ifndef PYVOC_HAS_SIGNAL
#define PYVOC_HAS_SIGNAL 1
#endif
#ifndef PYVOC_HAS_TRAINING
#define PYVOC_HAS_TRAINING 1
#endif

namespace pyvoc::kernels {

struct KernelTable {
  const char* tier;
  bool whole;          // with every slot of the build; not with some of them
  std::int32_t lanes;  // 8 or 16: rows of a batch for which the training kernels are quickest
#define PYVOC_KERNEL_MEMBER(name, args) void(*name) args PYVOC_RT;
  PYVOC_KERNEL_SLOTS(PYVOC_KERNEL_MEMBER)
#undef PYVOC_KERNEL_MEMBER
  bool cells;          // conv_i8 and gated_conv_i8 read Dense::cells in place of Dense::weights
  bool bf16_products;  // gated_conv_bf16 rounds its inputs to bfloat16: a tier that is asked for
};

}  // namespace pyvoc::kernels
#endif  // PYVOC_KERNELS_TABLE_H_
