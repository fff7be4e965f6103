#include "backends/native/native.h"

namespace pyvoc::backends {
namespace {

class Native final : public Backend {
 public:
  const char* name() const override { return "native"; }
  std::string unavailable() const override { return {}; }
  double cost(const MatVec& layer) const override {
    return static_cast<double>(layer.rows) * layer.cols;
  }
};

}  // namespace

const Backend& native() {
  static const Native backend;
  return backend;
}

}  // namespace pyvoc::backends
