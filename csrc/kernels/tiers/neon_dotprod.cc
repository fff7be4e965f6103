// AArch64 with the dot-product extension (Armv8.2 and later).
#include "kernels/simd/neon.h"
//
#include "kernels/tier.h"

PYVOC_PARTIAL_TIER(neon_dotprod, take_int8)
