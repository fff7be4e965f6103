#include "kernels/resolve.h"

#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "base/cpu.h"

namespace pyvoc::kernels {

#define PYVOC_DECLARE_TIER(name) extern const KernelTable kTier_##name;
PYVOC_DECLARE_TIER(scalar)
PYVOC_DECLARE_TIER(avx2)
PYVOC_DECLARE_TIER(avxvnni)
PYVOC_DECLARE_TIER(avx512)
PYVOC_DECLARE_TIER(avx512vnni)
PYVOC_DECLARE_TIER(avx512bf16)
PYVOC_DECLARE_TIER(neon)
PYVOC_DECLARE_TIER(neon_dotprod)
PYVOC_DECLARE_TIER(neon_i8mm)
PYVOC_DECLARE_TIER(neon_bf16)
PYVOC_DECLARE_TIER(wasm128)
#undef PYVOC_DECLARE_TIER

namespace {

// Slots by place, not by name: code for each of them would weigh ten kilobytes.
struct Slot {
  const char* name;
  std::size_t at;
};
#define PYVOC_PLACE(name, args) {#name, offsetof(KernelTable, name)},
constexpr Slot kSlots[] = {PYVOC_KERNEL_SLOTS(PYVOC_PLACE)};
#undef PYVOC_PLACE

using Kernel = void (*)();

Kernel kernel_in(const KernelTable& table, const Slot& slot) {
  Kernel kernel;
  std::memcpy(&kernel, reinterpret_cast<const char*>(&table) + slot.at, sizeof kernel);
  return kernel;
}

std::vector<Tier> make_tiers() {
  [[maybe_unused]] const CpuFeatures& cpu = cpu_features();
  std::vector<Tier> list;
#if PYVOC_HAVE_AVX512BF16
  list.push_back({"avx512bf16", &kTier_avx512bf16, cpu.avx512bf16});
#endif
#if PYVOC_HAVE_AVX512VNNI
  list.push_back({"avx512vnni", &kTier_avx512vnni, cpu.avx512vnni});
#endif
#if PYVOC_HAVE_AVX512
  list.push_back({"avx512", &kTier_avx512, cpu.avx512});
#endif
#if PYVOC_HAVE_AVXVNNI
  list.push_back({"avxvnni", &kTier_avxvnni, cpu.avxvnni});
#endif
#if PYVOC_HAVE_AVX2
  list.push_back({"avx2", &kTier_avx2, cpu.avx2});
#endif
#if PYVOC_HAVE_NEON_BF16
  list.push_back({"neon_bf16", &kTier_neon_bf16, cpu.bf16});
#endif
#if PYVOC_HAVE_NEON_I8MM
  list.push_back({"neon_i8mm", &kTier_neon_i8mm, cpu.i8mm});
#endif
#if PYVOC_HAVE_NEON_DOTPROD
  list.push_back({"neon_dotprod", &kTier_neon_dotprod, cpu.dotprod});
#endif
#if PYVOC_HAVE_NEON
  list.push_back({"neon", &kTier_neon, cpu.neon});
#endif
#if PYVOC_HAVE_WASM128
  list.push_back({"wasm128", &kTier_wasm128, true});  // or the module would not have been accepted
#endif
#if PYVOC_HAVE_SCALAR
  list.push_back({"scalar", &kTier_scalar, true});
#endif
  // A tier of a few slots needs a whole one below it, which a build without scalar may lack.
  bool whole = false;
  for (std::size_t i = list.size(); i-- > 0;) {
    list[i].supported = list[i].supported && (whole || list[i].table->whole);
    whole = whole || list[i].supported;
  }
  return list;
}

// Slot by slot from tier `first` down to scalar, skipping tiers that the processor lacks.
KernelTable merge(std::size_t first) {
  KernelTable merged{};
  merged.tier = tiers()[first].name;
  merged.whole = true;
  for (std::size_t i = first; i < tiers().size(); ++i) {
    if (!tiers()[i].supported) continue;
    const KernelTable& own = *tiers()[i].table;
    if (merged.lanes == 0) merged.lanes = own.lanes;
    if (merged.conv_i8 == nullptr) merged.cells = own.cells;
    if (merged.gated_conv_bf16 == nullptr) merged.bf16_products = own.bf16_products;
    for (const Slot& slot : kSlots) {
      if (kernel_in(merged, slot) != nullptr) continue;
      const Kernel kernel = kernel_in(own, slot);
      std::memcpy(reinterpret_cast<char*>(&merged) + slot.at, &kernel, sizeof kernel);
    }
  }
  return merged;
}

const std::vector<KernelTable>& merged_tables() {
  static const std::vector<KernelTable> tables = [] {
    std::vector<KernelTable> t;
    for (std::size_t i = 0; i < tiers().size(); ++i) t.push_back(merge(i));
    return t;
  }();
  return tables;
}

Result<const KernelTable*> resolve_active() {
  const char* forced = std::getenv("PYVOC_ISA");
  if (forced != nullptr && *forced != '\0') return table_for(forced);
  for (const Tier& tier : tiers()) {
    if (tier.supported && !tier.table->bf16_products) return table_for(tier.name);
  }
  std::string built;
  for (const Tier& tier : tiers()) built += std::string(built.empty() ? "" : ", ") + tier.name;
  return Status(Code::kUnsupported, "this processor has none of the kernel tiers of this build (" +
                                        built + "), which was made without the scalar one");
}

}  // namespace

const std::vector<Tier>& tiers() {
  static const std::vector<Tier> list = make_tiers();
  return list;
}

Result<const KernelTable*> table_for(const std::string& tier) {
  std::string valid;
  for (std::size_t i = 0; i < tiers().size(); ++i) {
    if (tier == tiers()[i].name && tiers()[i].supported) return &merged_tables()[i];
    if (tiers()[i].supported) valid += std::string(valid.empty() ? "" : ", ") + tiers()[i].name;
  }
  return Status(Code::kUnsupported,
                "kernel tier \"" + tier + "\" is unknown or not supported here; valid: " + valid);
}

Result<const KernelTable*> active_table() {
  static const Result<const KernelTable*> active = resolve_active();
  return active;
}

std::vector<std::pair<std::string, std::string>> slot_origins(const KernelTable& table) {
  std::vector<std::pair<std::string, std::string>> origins;
  for (const Slot& slot : kSlots) {
    const Kernel kernel = kernel_in(table, slot);
    for (const Tier& tier : tiers()) {
      if (!tier.supported || kernel == nullptr || kernel_in(*tier.table, slot) != kernel) continue;
      origins.emplace_back(slot.name, tier.name);
      break;
    }
  }
  return origins;
}

}  // namespace pyvoc::kernels
