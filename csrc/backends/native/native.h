// The backend over our own kernel table: every layer, every processor.
#ifndef PYVOC_BACKENDS_NATIVE_NATIVE_H_
#define PYVOC_BACKENDS_NATIVE_NATIVE_H_

#include "backends/backend.h"

namespace pyvoc::backends {

const Backend& native();

}  // namespace pyvoc::backends
#endif  // PYVOC_BACKENDS_NATIVE_NATIVE_H_
