// A convolution as oneDNN's matrix product: rows of inputs are gathered into blocks of a fixed
// height, multiplied, and finished by our own kernel. The height never varies, so a row's numbers
// do not depend on how a stream was cut.
#ifndef PYVOC_BACKENDS_ONEDNN_CONV_PLAN_H_
#define PYVOC_BACKENDS_ONEDNN_CONV_PLAN_H_

#include <memory>

#include "backends/backend.h"

namespace pyvoc::backends::dnnl {

// Multiplies a seeded row and fails when the library gives wrong sums (int8: any other than the
// exact ones) or sums that depend on the row's place in the block.
Result<std::shared_ptr<const ConvPlan>> make_conv_plan(const ConvMatrix& matrix,
                                                       const kernels::KernelTable& kernels);

}  // namespace pyvoc::backends::dnnl
#endif  // PYVOC_BACKENDS_ONEDNN_CONV_PLAN_H_
