#include "backends/native/native.h"

#include "backends/rates.h"

namespace pyvoc::backends {
namespace {

// [weights], where nothing was measured too: of convolutions, as the others do no other layers.
constexpr Rates kAvx512[] = {{86.0, 0.15}, {79.0, 0.10}, {330.0, 0.20}};
constexpr Rates kOther[] = {{41.0, 0.10}, {37.0, 0.05}, {43.0, 0.10}};

class Native final : public Backend {
 public:
  const char* name() const override { return "native"; }
  std::string unavailable() const override { return {}; }
  double cost(const MatVec& layer) const override {
    const bool avx512 = measured_tier() == Measured::kAvx512;
    return cost_of(layer, (avx512 ? kAvx512 : kOther)[static_cast<int>(layer.weights)]);
  }
};

}  // namespace

const Backend& native() {
  static const Native backend;
  return backend;
}

}  // namespace pyvoc::backends
