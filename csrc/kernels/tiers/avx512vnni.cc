// AVX-512 VNNI: int8 products.
#include "kernels/simd/avx512.h"
//
#include "kernels/tier.h"

PYVOC_PARTIAL_TIER(avx512vnni, take_int8)
