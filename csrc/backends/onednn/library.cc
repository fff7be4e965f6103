#include "backends/onednn/library.h"

#include <dlfcn.h>

#include <cstdlib>
#include <vector>

namespace pyvoc::backends::dnnl {
namespace {

#if defined(__APPLE__)
constexpr char kFile[] = "libdnnl.3.dylib";
#else
constexpr char kFile[] = "libdnnl.so.3";
#endif

// Where pip puts the libraries of a package, seen from a module in site-packages/pyvoc/: lib/.
std::string beside_python() {
  Dl_info here;
  if (dladdr(reinterpret_cast<void*>(&library), &here) == 0 || here.dli_fname == nullptr) return {};
  const std::string file = here.dli_fname;
  const std::size_t slash = file.rfind('/');
  return slash == std::string::npos ? "" : file.substr(0, slash) + "/../../../" + kFile;
}

void* open(std::string& problem) {
  const char* named = std::getenv("PYVOC_ONEDNN_LIBRARY");
  std::vector<std::string> files = {kFile, beside_python()};
  if (named != nullptr && *named != '\0') files = {named};
  for (const std::string& file : files) {
    if (file.empty()) continue;
    if (void* found = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL)) return found;
    if (problem.empty()) problem = dlerror();
  }
  problem += "; PYVOC_ONEDNN_LIBRARY names another file";
  return nullptr;
}

template <typename Function>
bool find(void* from, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(from, name));
  return function != nullptr;
}

Library load() {
  Library lib;
  void* handle = open(lib.problem);
  if (handle == nullptr) return lib;
  lib.problem.clear();
  decltype(&::dnnl_version) version = nullptr;
  if (!find(handle, "dnnl_version", version)) {
    lib.problem = "the library that was loaded is not oneDNN: it has no dnnl_version";
    return lib;
  }
  const dnnl_version_t& v = *version();
  lib.about = "oneDNN " + std::to_string(v.major) + "." + std::to_string(v.minor) + "." +
              std::to_string(v.patch);
  Dl_info where;
  if (dladdr(reinterpret_cast<void*>(version), &where) != 0) {
    lib.about += std::string(", ") + where.dli_fname;
  }
  if (v.major != DNNL_VERSION_MAJOR) {
    lib.problem = lib.about + ": expected version " + std::to_string(DNNL_VERSION_MAJOR);
    return lib;
  }
  if (v.cpu_runtime != DNNL_RUNTIME_OMP && v.cpu_runtime != DNNL_RUNTIME_SEQ) {
    lib.problem = lib.about + ": its threads are neither OpenMP's nor none";
    return lib;
  }
#define PYVOC_DNNL_FIND(name) \
  if (!find(handle, "dnnl_" #name, lib.name)) lib.problem = lib.about + ": no dnnl_" #name;
  PYVOC_DNNL_FUNCTIONS(PYVOC_DNNL_FIND)
#undef PYVOC_DNNL_FIND
  if (!lib.problem.empty()) return lib;
  if (v.cpu_runtime == DNNL_RUNTIME_OMP &&
      !(find(handle, "omp_get_max_threads", lib.omp_get_max_threads) &&
        find(handle, "omp_set_num_threads", lib.omp_set_num_threads))) {
    lib.problem = lib.about + ": its OpenMP runtime was not found";
    return lib;
  }
  if (lib.engine_create(&lib.engine, dnnl_cpu, 0) != dnnl_success) {
    lib.problem = lib.about + ": it has no engine for this processor";
  }
  return lib;
}

}  // namespace

const Library& library() {
  static const Library lib = load();
  return lib;
}

OneThread::OneThread() {
  const Library& lib = library();
  if (lib.omp_get_max_threads == nullptr) return;
  before_ = lib.omp_get_max_threads();
  if (before_ != 1) lib.omp_set_num_threads(1);
}

OneThread::~OneThread() {
  if (before_ != 1) library().omp_set_num_threads(before_);
}

}  // namespace pyvoc::backends::dnnl
