// AArch64 with int8 matrix products (Armv8.6 and later; Neoverse V1, Apple M2, Cortex-A510).
#include "kernels/simd/neon.h"
//
#include "kernels/tier.h"

PYVOC_PARTIAL_TIER(neon_i8mm, take_int8)
