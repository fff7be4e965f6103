// WebAssembly with its 128-bit vectors; equal to scalar to the bit.
#include "kernels/simd/wasm128.h"
//
#include "kernels/tier.h"

PYVOC_FULL_TIER(wasm128)
