// The backend over oneDNN >= 3: convolutions on x86-64 and Arm servers. In the library's sources
// when the CMake option PYVOC_ONEDNN is on, loaded when a program runs; unavailable otherwise.
#ifndef PYVOC_BACKENDS_ONEDNN_ONEDNN_H_
#define PYVOC_BACKENDS_ONEDNN_ONEDNN_H_

#include "backends/backend.h"

namespace pyvoc::backends {

const Backend& onednn();

}  // namespace pyvoc::backends
#endif  // PYVOC_BACKENDS_ONEDNN_ONEDNN_H_
