// The tiers of bfloat16 products over plain C++, for processors that have no such instruction: the
// kernels are compiled as they are.
#define PYVOC_SIMD_BF16_PRODUCTS 1
#include "kernels/simd/scalar.h"
//
#include "kernels/tier.h"

PYVOC_PARTIAL_TIER(bf16_model, take_bf16)
