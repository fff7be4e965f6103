// AArch64 baseline, and 32-bit Arm with NEON and VFPv4.
#include "kernels/simd/neon.h"
//
#include "kernels/tier.h"

PYVOC_FULL_TIER(neon)
