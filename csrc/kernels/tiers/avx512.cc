// AVX-512 F, BW, DQ, VL.
#include "kernels/simd/avx512.h"
//
#include "kernels/tier.h"

PYVOC_FULL_TIER(avx512)
