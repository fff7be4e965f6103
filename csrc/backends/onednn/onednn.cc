#include "backends/onednn/onednn.h"

#include "backends/rates.h"
#include "base/cpu.h"

#ifdef PYVOC_ONEDNN
#include "backends/onednn/conv_plan.h"
#include "backends/onednn/library.h"
#endif

namespace pyvoc::backends {
namespace {

// [weights], with oneDNN 3.2; bf16 is multiplied as f32.
constexpr Rates kAvx512[] = {{86.0, 0.45, 0.20}, {86.0, 0.45, 0.20}, {330.0, 0.30, 0.07}};
constexpr Rates kAvx2[] = {{41.0, 0.35, 0.15}, {41.0, 0.35, 0.15}};

// It is not real-time safe and keeps weights twice: it has to win by more than this.
constexpr double kMargin = 1.25;
constexpr double kUnmeasured = 1e12;  // nanoseconds

class OneDnn final : public Backend {
 public:
  const char* name() const override { return "onednn"; }
  double cost(const MatVec& layer) const override {
    if (layer.op != Op::kConv && layer.op != Op::kConvTransposed) return -1.0;
    // Without these instructions its bytes saturate on the way.
    if (layer.weights == Weights::kI8 && !cpu_features().avx512vnni) return -1.0;
    const Measured tier = measured_tier();
    if (tier == Measured::kAvx512) return kMargin * cost_of(layer, kAvx512[int(layer.weights)]);
    if (tier == Measured::kAvx2 && layer.weights != Weights::kI8) {
      return kMargin * cost_of(layer, kAvx2[int(layer.weights)]);
    }
    return kUnmeasured;
  }
#ifdef PYVOC_ONEDNN
  std::string about() const override { return dnnl::library().about; }
  std::string unavailable() const override { return dnnl::library().problem; }
  Result<std::shared_ptr<const ConvPlan>> plan(const ConvMatrix& matrix,
                                               const kernels::KernelTable& kernels) const override {
    return dnnl::make_conv_plan(matrix, kernels);
  }
#else
  std::string unavailable() const override {
    return "not in this build (CMake option PYVOC_ONEDNN)";
  }
#endif
};

}  // namespace

const Backend& onednn() {
  static const OneDnn backend;
  return backend;
}

}  // namespace pyvoc::backends
