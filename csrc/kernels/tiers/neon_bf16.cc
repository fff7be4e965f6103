// NEON with products of bfloat16.
#include "kernels/simd/neon.h"
//
#include "kernels/tier.h"

PYVOC_BF16_TIER(neon_bf16)
