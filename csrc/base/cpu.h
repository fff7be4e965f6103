// What the processor offers, read once (CPUID + XGETBV, getauxval, sysctl).
#ifndef PYVOC_BASE_CPU_H_
#define PYVOC_BASE_CPU_H_

#include <string>

namespace pyvoc {

struct CpuFeatures {
  // x86-64; true only when the operating system saves the registers too.
  bool avx2 = false;  // with fma and f16c
  bool avxvnni = false;
  bool avx512 = false;  // f, bw, dq, vl
  bool avx512vnni = false;
  bool avx512bf16 = false;
  // Arm
  bool neon = false;  // with fused products
  bool dotprod = false;
  bool i8mm = false;
  bool bf16 = false;
};

const CpuFeatures& cpu_features();
const std::string& cpu_name();  // brand string or architecture

}  // namespace pyvoc
#endif  // PYVOC_BASE_CPU_H_
