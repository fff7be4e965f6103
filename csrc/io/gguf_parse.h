// The header of a GGUF v3 file, parsed and checked: metadata and tensor descriptions. Every count
// is capped by the bytes that are left, every sum and product is checked before it is formed, and
// the time is O(n log n) in the file's size whatever it holds. Not real-time.
#ifndef PYVOC_IO_GGUF_PARSE_H_
#define PYVOC_IO_GGUF_PARSE_H_

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "io/gguf.h"

namespace pyvoc::io {

struct ParsedGguf {
  std::vector<std::pair<std::string, Value>> metadata;  // in file order
  std::vector<std::size_t> keys_sorted;                 // indices into metadata, by key
  std::vector<Tensor> tensors;                          // in file order
  std::vector<std::size_t> tensors_sorted;              // indices into tensors, by name
};

// `data` [size] must outlive the tensors, which point into it. `name` opens every message.
Status parse_gguf(const std::byte* data, std::size_t size, const std::string& name,
                  ParsedGguf* parsed);

const char* kind_name(Value::Kind kind);  // "unsigned integer", ...

}  // namespace pyvoc::io
#endif  // PYVOC_IO_GGUF_PARSE_H_
