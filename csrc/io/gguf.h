// Reader of the model container: one little-endian GGUF v3 file, every byte of the header
// checked before a pointer into the data is formed. A damaged or hostile file gives a Status.
#ifndef PYVOC_IO_GGUF_H_
#define PYVOC_IO_GGUF_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/span.h"
#include "base/status.h"

namespace pyvoc::io {

// ggml's type numbers, those we accept.
enum class TensorType : std::uint32_t { kF32 = 0, kI8 = 24, kI16 = 25, kI32 = 26, kBf16 = 30 };

const char* type_name(TensorType type);  // "F32", ...
std::size_t type_size(TensorType type);  // bytes per element

struct Tensor {
  std::string name;
  TensorType type = TensorType::kF32;
  std::vector<std::size_t> shape;  // outermost first, as numpy; 1 to 4 dimensions, none of them 0
  const std::byte* data = nullptr;
  std::size_t elements = 0;
};

// A metadata value. `kind` says which field holds it.
struct Value {
  enum class Kind { kUint, kInt, kFloat, kBool, kString, kArray };
  Kind kind = Kind::kUint;
  std::uint64_t u = 0;
  std::int64_t i = 0;
  double f = 0.0;
  bool b = false;
  std::string s;
  std::vector<Value> array;  // of scalars or strings
};

class Gguf {
 public:
  // The file is read into memory, which the object owns. `path` goes into every error message.
  static Result<std::shared_ptr<const Gguf>> open(const std::string& path);
  // `data` must outlive the object. It is copied where it does not begin at an 8-byte boundary.
  static Result<std::shared_ptr<const Gguf>> from_memory(const void* data, std::size_t size,
                                                         std::string name = "<memory>");
  ~Gguf();

  const std::string& name() const;                         // path, for messages
  const std::vector<Tensor>& tensors() const;              // in file order
  const Tensor* find_tensor(std::string_view name) const;  // nullptr when absent
  const Value* find(std::string_view key) const;           // nullptr when absent
  const std::vector<std::pair<std::string, Value>>& metadata() const;

  // Gives back the memory of the tensor that begins at `data`, which nobody reads again. A loader
  // that copies calls it for large ones, so that no large model is in memory twice.
  void forget(const void* data) const;

  // Typed access; a missing key or another type is an error that names file, key and both types.
  Result<std::uint64_t> get_uint(std::string_view key) const;
  Result<double> get_float(std::string_view key) const;
  Result<bool> get_bool(std::string_view key) const;
  Result<std::string> get_string(std::string_view key) const;

 private:
  struct Impl;
  explicit Gguf(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace pyvoc::io
#endif  // PYVOC_IO_GGUF_H_
