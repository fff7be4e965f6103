// AVX2 + FMA + F16C (2013 and later).
#include "kernels/simd/avx2.h"
//
#include "kernels/tier.h"

PYVOC_FULL_TIER(avx2)
