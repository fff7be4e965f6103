// From C ABI codes and Status to the exceptions of pyvoc/errors.py.
#ifndef PYVOC_PYTHON_ERRORS_H_
#define PYVOC_PYTHON_ERRORS_H_

#include <string>

#include "pyvoc/pyvoc.h"

namespace pyvoc::python {

// Sets the Python error for `status` without throwing; the GIL is held.
void set_error(pyvoc_status status, const std::string& message);

// Raises the Python exception for `status`; the GIL is held.
[[noreturn]] void raise(pyvoc_status status, const std::string& message);

// Raises with pyvoc_last_error() unless `status` is PYVOC_OK.
void check(pyvoc_status status);

}  // namespace pyvoc::python
#endif  // PYVOC_PYTHON_ERRORS_H_
