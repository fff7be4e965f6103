// AVX-512 BF16: convolutions of bfloat16.
#include "kernels/simd/avx512.h"
//
#include "kernels/tier.h"

PYVOC_PARTIAL_TIER(avx512bf16, take_bf16)
