#include "base/cpu.h"

#include <cstdint>
#include <cstring>

#if defined(__x86_64__) || defined(_M_X64)
#define PYVOC_X86 1
#if defined(_MSC_VER)
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#elif (defined(__aarch64__) || defined(__arm__)) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace pyvoc {
namespace {

#if PYVOC_X86

struct Registers {
  std::uint32_t a = 0, b = 0, c = 0, d = 0;
};

Registers cpuid(std::uint32_t leaf, std::uint32_t sub) {
  Registers r;
#if defined(_MSC_VER)
  int regs[4];
  __cpuidex(regs, static_cast<int>(leaf), static_cast<int>(sub));
  r.a = regs[0], r.b = regs[1], r.c = regs[2], r.d = regs[3];
#else
  __cpuid_count(leaf, sub, r.a, r.b, r.c, r.d);
#endif
  return r;
}

std::uint64_t xcr0() {
#if defined(_MSC_VER)
  return _xgetbv(0);
#else
  std::uint32_t lo, hi;
  asm volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
  return (static_cast<std::uint64_t>(hi) << 32) | lo;
#endif
}

bool bit(std::uint32_t word, int index) { return (word >> index) & 1u; }

CpuFeatures detect() {
  CpuFeatures f;
  const std::uint32_t max_leaf = cpuid(0, 0).a;
  const Registers one = cpuid(1, 0);
  const bool osxsave = bit(one.c, 27);
  if (!osxsave || max_leaf < 7) return f;
  const std::uint64_t state = xcr0();
  const bool os_avx = (state & 0x6) == 0x6;
  const bool os_avx512 = (state & 0xe6) == 0xe6;
  const Registers seven = cpuid(7, 0);
  const Registers seven1 = seven.a >= 1 ? cpuid(7, 1) : Registers{};
  f.avx2 = os_avx && bit(seven.b, 5) && bit(one.c, 12) && bit(one.c, 29);
  f.avxvnni = f.avx2 && bit(seven1.a, 4);
  f.avx512 = f.avx2 && os_avx512 && bit(seven.b, 16) && bit(seven.b, 17) && bit(seven.b, 30) &&
             bit(seven.b, 31);
  f.avx512vnni = f.avx512 && bit(seven.c, 11);
  f.avx512bf16 = f.avx512 && bit(seven1.a, 5);
  return f;
}

std::string detect_name() {
  if (cpuid(0x80000000u, 0).a < 0x80000004u) return "x86-64";
  char brand[49] = {};
  for (std::uint32_t i = 0; i < 3; ++i) {
    const Registers r = cpuid(0x80000002u + i, 0);
    std::memcpy(brand + 16 * i, &r.a, 4);
    std::memcpy(brand + 16 * i + 4, &r.b, 4);
    std::memcpy(brand + 16 * i + 8, &r.c, 4);
    std::memcpy(brand + 16 * i + 12, &r.d, 4);
  }
  std::string name(brand);
  const auto first = name.find_first_not_of(' ');
  if (first == std::string::npos) return "x86-64";
  return name.substr(first, name.find_last_not_of(' ') - first + 1);
}

#elif defined(__aarch64__)

CpuFeatures detect() {
  CpuFeatures f;
#if defined(__linux__)
  const unsigned long hwcap = getauxval(AT_HWCAP);
  f.neon = hwcap & (1ul << 1);                                 // HWCAP_ASIMD
  f.dotprod = hwcap & (1ul << 20);                             // HWCAP_ASIMDDP
  f.i8mm = f.dotprod && (getauxval(AT_HWCAP2) & (1ul << 13));  // HWCAP2_I8MM
  f.bf16 = f.neon && (getauxval(AT_HWCAP2) & (1ul << 14));     // HWCAP2_BF16
#elif defined(__APPLE__)
  f.neon = true;
  const auto has = [](const char* name) {
    int value = 0;
    std::size_t size = sizeof value;
    return sysctlbyname(name, &value, &size, nullptr, 0) == 0 && value != 0;
  };
  f.dotprod = has("hw.optional.arm.FEAT_DotProd");
  f.i8mm = f.dotprod && has("hw.optional.arm.FEAT_I8MM");
  f.bf16 = has("hw.optional.arm.FEAT_BF16");
#else
  f.neon = true;
#endif
  return f;
}

std::string detect_name() { return "aarch64"; }

#elif defined(__arm__)

CpuFeatures detect() {
  CpuFeatures f;
#if defined(__linux__)
  constexpr unsigned long kNeon = 1ul << 12, kVfpv4 = 1ul << 16;  // HWCAP_NEON, HWCAP_VFPv4
  f.neon = (getauxval(AT_HWCAP) & (kNeon | kVfpv4)) == (kNeon | kVfpv4);
#endif
  return f;
}

std::string detect_name() { return "arm"; }

#else

CpuFeatures detect() { return {}; }
std::string detect_name() { return "generic"; }

#endif

}  // namespace

const CpuFeatures& cpu_features() {
  static const CpuFeatures features = detect();
  return features;
}

const std::string& cpu_name() {
  static const std::string name = detect_name();
  return name;
}

}  // namespace pyvoc
