// The JSON texts of pyvoc_system_info and pyvoc_model_describe.
#ifndef PYVOC_API_DESCRIBE_H_
#define PYVOC_API_DESCRIBE_H_

#include <string>

#include "io/gguf.h"
#include "kernels/table.h"
#include "models/vocoder.h"

namespace pyvoc::api {

std::string describe_system(const kernels::KernelTable& active);
std::string describe_model(const io::Gguf& file, const models::Vocoder& vocoder);

}  // namespace pyvoc::api
#endif  // PYVOC_API_DESCRIBE_H_
