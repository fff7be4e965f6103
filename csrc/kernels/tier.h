// The ops and the macros that a tier file puts its table together with. Include one simd/ header
// first. Everything in these files has internal linkage: a tier object exports its table and
// nothing else.
#ifndef PYVOC_KERNELS_TIER_H_
#define PYVOC_KERNELS_TIER_H_

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "kernels/table.h"

#if defined(__GNUC__)
#define PYVOC_ALWAYS_INLINE __attribute__((always_inline))
#else
#define PYVOC_ALWAYS_INLINE
#endif
//
#include "kernels/activation.inl"
#include "kernels/dense.inl"
//
#include "kernels/dense_many.inl"  // uses `unrolled` of dense.inl
//
#include "kernels/conv.inl"  // uses `unrolled` of dense.inl
//
#include "kernels/gated_conv.inl"  // uses tiles of conv.inl
#include "kernels/winograd.inl"    // uses tiles of conv.inl
//
#include "kernels/gru.inl"
#include "kernels/sampling.inl"
#include "kernels/signal.inl"
#include "kernels/sparse.inl"
#include "kernels/training.inl"
#include "kernels/training_rows.inl"
#include "kernels/tree.inl"

// A table with every slot.
#define PYVOC_KERNEL_ENTRY(slot, args) slot,
#define PYVOC_FULL_TIER(name)                                                       \
  namespace pyvoc::kernels {                                                        \
  extern const KernelTable kTier_##name;                                            \
  const KernelTable kTier_##name = {#name, PYVOC_KERNEL_SLOTS(PYVOC_KERNEL_ENTRY)}; \
  }

// A table with the int8 products only; the other slots are left to the tier below.
#define PYVOC_INT8_TIER(name)                         \
  namespace pyvoc::kernels {                          \
  namespace {                                         \
  constexpr KernelTable make_int8_table() {           \
    KernelTable t{};                                  \
    t.tier = #name;                                   \
    t.dense_i8 = dense_i8;                            \
    t.dense_i8_many = dense_i8_many;                  \
    t.conv_i8 = conv_i8;                              \
    t.gated_conv_i8 = gated_conv_i8;                  \
    t.sparse8x4_i8 = sparse8x4_i8;                    \
    t.sparse8x4_i8_x4 = sparse8x4_i8_x4;              \
    return t;                                         \
  }                                                   \
  }                                                   \
  extern const KernelTable kTier_##name;              \
  const KernelTable kTier_##name = make_int8_table(); \
  }

#endif  // PYVOC_KERNELS_TIER_H_
