#include "backends/backend.h"

#include <cstdlib>

#include "backends/native/native.h"
#include "backends/onednn/onednn.h"

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
  static const std::vector<const Backend*> list = {&native(), &onednn()};
  return list;
}

bool forced() {
  const char* name = std::getenv("PYVOC_BACKEND");
  return name != nullptr && *name != '\0';
}

Result<const Backend*> choose(const MatVec& layer) {
  const std::string wanted = forced() ? std::getenv("PYVOC_BACKEND") : "";
  const Backend* best = &native();
  bool known = wanted.empty();
  std::string names;
  for (const Backend* backend : backends()) {
    names += std::string(names.empty() ? "" : ", ") + backend->name();
    const double cost = backend->cost(layer);
    if (wanted.empty()) {  // asked last: a library is loaded only where it would win
      if (cost >= 0 && cost < best->cost(layer) && backend->unavailable().empty()) best = backend;
    } else if (wanted == backend->name()) {
      known = true;
      const std::string why = backend->unavailable();
      if (!why.empty()) {
        return Status(Code::kUnsupported, "PYVOC_BACKEND=" + wanted + ": unavailable, " + why);
      }
      if (cost >= 0) best = backend;
    }
  }
  if (!known) {
    return Status(Code::kUnsupported,
                  "PYVOC_BACKEND \"" + wanted + "\" is unknown; valid: " + names);
  }
  return best;
}

}  // namespace pyvoc::backends
