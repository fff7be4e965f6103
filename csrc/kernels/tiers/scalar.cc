// Plain C++: the reference, and the tier of last resort.
#include "kernels/simd/scalar.h"
//
#include "kernels/tier.h"

PYVOC_FULL_TIER(scalar)
