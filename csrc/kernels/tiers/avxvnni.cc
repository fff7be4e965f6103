// AVX-VNNI: int8 products on 256 bits without AVX-512 (Alder Lake, Zen 5).
#include "kernels/simd/avx2.h"
//
#include "kernels/tier.h"

PYVOC_PARTIAL_TIER(avxvnni, take_int8)
