// From a model file to a Vocoder: the architecture's name picks the loader. The families are the
// folders of models/ that the build takes (cmake/parts.cmake).
#ifndef PYVOC_API_REGISTRY_H_
#define PYVOC_API_REGISTRY_H_

#include <memory>

#include "io/gguf.h"
#include "models/vocoder.h"

namespace pyvoc::api {

Result<std::unique_ptr<models::Vocoder>> load_vocoder(const io::Gguf& file);

}  // namespace pyvoc::api
#endif  // PYVOC_API_REGISTRY_H_
