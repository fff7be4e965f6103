#include "backends/backend.h"

#include <cstdlib>

#include "backends/native/native.h"

namespace pyvoc::backends {

const char* op_name(Op op) {
  switch (op) {
    case Op::kDense:
      return "dense";
    case Op::kSparse8x4:
      return "sparse8x4";
    case Op::kSparse16x1:
      return "sparse16x1";
    case Op::kConv:
      return "conv";
    case Op::kConvTransposed:
      return "conv_transposed";
  }
  return "?";
}

const char* weights_name(Weights weights) {
  switch (weights) {
    case Weights::kF32:
      return "f32";
    case Weights::kBf16:
      return "bf16";
    case Weights::kI8:
      return "i8";
  }
  return "?";
}

const std::vector<const Backend*>& backends() {
  static const std::vector<const Backend*> list = {&native()};
  return list;
}

Result<const Backend*> choose(const MatVec& layer) {
  const char* forced = std::getenv("PYVOC_BACKEND");
  const bool any = forced == nullptr || *forced == '\0';
  const Backend* best = nullptr;
  std::string names;
  for (const Backend* backend : backends()) {
    names += std::string(names.empty() ? "" : ", ") + backend->name();
    if (!any && std::string(forced) != backend->name()) continue;
    const std::string why = backend->unavailable();
    if (!why.empty()) {
      if (any) continue;
      return Status(Code::kUnsupported, std::string("backend \"") + forced + "\": " + why);
    }
    if (backend->cost(layer) < 0) continue;
    if (best == nullptr || backend->cost(layer) < best->cost(layer)) best = backend;
  }
  if (best == nullptr) {
    return Status(Code::kUnsupported, std::string("PYVOC_BACKEND \"") + forced +
                                          "\" is unknown or cannot compute a layer " +
                                          op_name(layer.op) + " " + weights_name(layer.weights) +
                                          "; backends of this build: " + names);
  }
  return best;
}

}  // namespace pyvoc::backends
