// The tier avxvnni over a model of its one instruction, for processors that have AVX2 but not
// AVX-VNNI: the tier's source, other than that, is compiled as it is.
#include <immintrin.h>

namespace {

// acc[i] += u[4i + k] * w[4i + k] over k < 4, unsigned by signed, 32 bits wide.
inline __m256i model_dpbusd(__m256i acc, __m256i u, __m256i w) {
  const __m256i even = _mm256_madd_epi16(_mm256_and_si256(u, _mm256_set1_epi16(0xff)),
                                         _mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8));
  const __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(u, 8), _mm256_srai_epi16(w, 8));
  return _mm256_add_epi32(acc, _mm256_add_epi32(even, odd));
}

}  // namespace

#define _mm256_dpbusd_avx_epi32 model_dpbusd
#include "kernels/simd/avx2.h"
//
#include "kernels/tier.h"

PYVOC_PARTIAL_TIER(avxvnni_model, take_int8)
