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
#include "kernels/unrolled.h"
//
#include "kernels/activation.inl"
#include "kernels/dense.inl"
//
#include "kernels/dense_many.inl"  // uses panels of dense.inl
//
#include "kernels/tile_i8.inl"
//
#include "kernels/conv.inl"  // uses tiles of tile_i8.inl
//
#include "kernels/tile_bf16.inl"  // adds to tiles of conv.inl
//
#include "kernels/gated_conv.inl"  // uses tiles of conv.inl and tile_bf16.inl
#include "kernels/winograd.inl"    // uses tiles of conv.inl
//
#include "kernels/gru.inl"
#include "kernels/sampling.inl"
#include "kernels/signal.inl"
#include "kernels/sparse.inl"
#include "kernels/training.inl"
#include "kernels/training_rows.inl"
#include "kernels/tree.inl"

// A table with every slot of the groups that are built. PYVOC_CHOOSE(1) is the name of the macro
// that takes a slot, PYVOC_CHOOSE(0) of the one that leaves it null.
#define PYVOC_ENTRY_1(slot, args) slot,
#define PYVOC_ENTRY_0(slot, args) nullptr,
#define PYVOC_CHOOSE_(has) PYVOC_ENTRY_##has
#define PYVOC_CHOOSE(has) PYVOC_CHOOSE_(has)
// In the order of PYVOC_KERNEL_SLOTS.
#define PYVOC_KERNEL_ENTRIES                                 \
  PYVOC_DENSE_SLOTS(PYVOC_CHOOSE(PYVOC_HAS_DENSE))           \
  PYVOC_DENSE_MANY_SLOTS(PYVOC_CHOOSE(PYVOC_HAS_DENSE_MANY)) \
  PYVOC_SPARSE_SLOTS(PYVOC_CHOOSE(PYVOC_HAS_SPARSE))         \
  PYVOC_GRU_SLOTS(PYVOC_CHOOSE(PYVOC_HAS_GRU))               \
  PYVOC_GRU_ROWS_SLOTS(PYVOC_CHOOSE(PYVOC_HAS_GRU_ROWS))     \
  PYVOC_GATE_SLOTS(PYVOC_CHOOSE(PYVOC_HAS_GATE))             \
  PYVOC_TREE_SLOTS(PYVOC_CHOOSE(PYVOC_HAS_TREE))             \
  PYVOC_SAMPLING_SLOTS(PYVOC_CHOOSE(PYVOC_HAS_SAMPLING))     \
  PYVOC_MIX_SLOTS(PYVOC_CHOOSE(PYVOC_HAS_MIX))               \
  PYVOC_CONV_SLOTS(PYVOC_CHOOSE(PYVOC_HAS_CONV))             \
  PYVOC_GATED_CONV_SLOTS(PYVOC_CHOOSE(PYVOC_HAS_GATED_CONV)) \
  PYVOC_WINOGRAD_SLOTS(PYVOC_CHOOSE(PYVOC_HAS_WINOGRAD))     \
  PYVOC_SIGNAL_SLOTS(PYVOC_CHOOSE(PYVOC_HAS_SIGNAL))         \
  PYVOC_TRAINING_SLOTS(PYVOC_CHOOSE(PYVOC_HAS_TRAINING))

#define PYVOC_FULL_TIER(name)                                                             \
  namespace pyvoc::kernels {                                                              \
  extern const KernelTable kTier_##name;                                                  \
  const KernelTable kTier_##name = {#name, true, kBestLanes, PYVOC_KERNEL_ENTRIES kCells, \
                                    kBf16Products};                                       \
  }

namespace pyvoc::kernels {
namespace {

// What a partial tier has; its other slots are left to the tier below.
constexpr void take_int8(KernelTable& t) {
  if constexpr (PYVOC_HAS_DENSE) t.dense_i8 = dense_i8;
  if constexpr (PYVOC_HAS_DENSE_MANY) t.dense_i8_many = dense_i8_many;
  if constexpr (PYVOC_HAS_CONV) t.conv_i8 = conv_i8;
  if constexpr (PYVOC_HAS_GATED_CONV) t.gated_conv_i8 = gated_conv_i8;
  if constexpr (PYVOC_HAS_SPARSE) t.sparse8x4_i8 = sparse8x4_i8;
  if constexpr (PYVOC_HAS_SPARSE) t.sparse8x4_i8_x4 = sparse8x4_i8_x4;
}

// Only where rounded inputs do little harm: gated convolutions. (The plain ones of deep networks
// gain a tenth over transforms and lose 20 dB.)
constexpr void take_bf16(KernelTable& t) {
  t.bf16_products = kBf16Products;
  if constexpr (PYVOC_HAS_GATED_CONV) t.gated_conv_bf16 = gated_conv_bf16;
}

constexpr KernelTable partial_tier(const char* name, void (*take)(KernelTable&)) {
  KernelTable t{};
  t.tier = name;
  take(t);
  return t;
}

}  // namespace
}  // namespace pyvoc::kernels

#define PYVOC_PARTIAL_TIER(name, take)                        \
  namespace pyvoc::kernels {                                  \
  extern const KernelTable kTier_##name;                      \
  const KernelTable kTier_##name = partial_tier(#name, take); \
  }

#endif  // PYVOC_KERNELS_TIER_H_
