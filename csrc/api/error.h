// The calling thread's last error, as pyvoc_last_error() tells it.
#ifndef PYVOC_API_ERROR_H_
#define PYVOC_API_ERROR_H_

#include <string>

#include "base/status.h"
#include "pyvoc/pyvoc.h"

namespace pyvoc::api {

// Long sentences are cut, so that setting one never allocates: the real-time calls may fail too.
void set_last_error(const char* message) noexcept;
void set_last_error(const std::string& message) noexcept;

// Remembers the sentence and returns the C code of a failed status.
pyvoc_status fail(const Status& status) noexcept;
pyvoc_status fail(Code code, const char* message) noexcept;

}  // namespace pyvoc::api
#endif  // PYVOC_API_ERROR_H_
