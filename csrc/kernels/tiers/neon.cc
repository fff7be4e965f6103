// AArch64 baseline.
#include "kernels/simd/neon.h"
//
#include "kernels/tier.h"

PYVOC_FULL_TIER(neon)
