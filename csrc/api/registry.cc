#include "api/registry.h"

#include <string>

#include "kernels/resolve.h"
#include "models/loaded.h"

// PYVOC_FAMILIES is PYVOC_FAMILY(name) for every family of this build (cmake/parts.cmake): the
// folders of models/, each of which defines `load`.
#define PYVOC_FAMILY(name)        \
  namespace pyvoc::models::name { \
  Load load;                      \
  }
PYVOC_FAMILIES
#undef PYVOC_FAMILY

namespace pyvoc::api {
namespace {

constexpr std::uint64_t kFormatVersion = 1;

struct Entry {
  const char* architecture;
  models::Load* load;
};

#define PYVOC_FAMILY(name) {"pyvoc." #name, models::name::load},
constexpr Entry kModels[] = {PYVOC_FAMILIES};
#undef PYVOC_FAMILY

}  // namespace

Result<std::unique_ptr<models::Vocoder>> load_vocoder(const io::Gguf& file) {
  Result<std::string> architecture = file.get_string("general.architecture");
  if (!architecture.ok()) return architecture.status();
  Result<std::uint64_t> version = file.get_uint("pyvoc.format_version");
  if (!version.ok() && architecture.value().rfind("pyvoc.", 0) == 0) return version.status();
  if (version.ok() && version.value() > kFormatVersion) {
    return Status(Code::kUnsupported, file.name() + ": container format " +
                                          std::to_string(version.value()) +
                                          " is newer than this build reads (" +
                                          std::to_string(kFormatVersion) + "); upgrade pyvoc");
  }
  std::string known;
  for (const Entry& entry : kModels) {
    if (architecture.value() == entry.architecture) {
      Result<const kernels::KernelTable*> kernels = kernels::active_table();
      if (!kernels.ok()) return kernels.status();
      return entry.load(file, *kernels.value());
    }
    known += std::string(known.empty() ? "" : ", ") + entry.architecture;
  }
  return Status(Code::kUnsupported, file.name() + ": architecture \"" + architecture.value() +
                                        "\" is not one this build runs (" + known + ")");
}

}  // namespace pyvoc::api
