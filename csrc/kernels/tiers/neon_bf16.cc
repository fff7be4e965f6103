// NEON with products of bfloat16.
#include "kernels/simd/neon.h"
//
#include "kernels/tier.h"

PYVOC_PARTIAL_TIER(neon_bf16, take_bf16)
