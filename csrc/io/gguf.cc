#include "io/gguf.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

#include "base/file_bytes.h"
#include "io/gguf_parse.h"

namespace pyvoc::io {
namespace {

constexpr std::uintptr_t kDataAlignment = 8;  // with which every number lies where it may be read
constexpr std::string_view kMagic = "GGUF";
constexpr std::uint64_t kMostBytes = std::uint64_t{8} << 30;  // twenty times our largest model

}  // namespace

struct Gguf::Impl {
  std::string name;
  std::unique_ptr<FileBytes> file;       // null for from_memory
  std::vector<std::uint64_t> realigned;  // a copy of memory that begins at an odd place
  ParsedGguf parsed;
};

const char* type_name(TensorType type) {
  switch (type) {
    case TensorType::kF32:
      return "F32";
    case TensorType::kI8:
      return "I8";
    case TensorType::kI16:
      return "I16";
    case TensorType::kI32:
      return "I32";
    case TensorType::kBf16:
      return "BF16";
  }
  return "unknown";
}

std::size_t type_size(TensorType type) {
  switch (type) {
    case TensorType::kI8:
      return 1;
    case TensorType::kI16:
    case TensorType::kBf16:
      return 2;
    case TensorType::kF32:
    case TensorType::kI32:
      return 4;
  }
  return 1;
}

Gguf::Gguf(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Gguf::~Gguf() = default;

Result<std::shared_ptr<const Gguf>> Gguf::open(const std::string& path) {
  Result<std::unique_ptr<FileBytes>> file = FileBytes::open(path, kMagic, kMostBytes);
  if (!file.ok()) return file.status();
  auto impl = std::make_unique<Impl>();
  impl->name = path;
  impl->file = std::move(file.value());
  const Status status =
      parse_gguf(impl->file->data(), impl->file->size(), impl->name, &impl->parsed);
  if (!status.ok()) return status;
  return std::shared_ptr<const Gguf>(new Gguf(std::move(impl)));
}

Result<std::shared_ptr<const Gguf>> Gguf::from_memory(const void* data, std::size_t size,
                                                      std::string name) {
  if (data == nullptr && size != 0) return Status(Code::kArgument, name + ": null data");
  auto impl = std::make_unique<Impl>();
  impl->name = std::move(name);
  if (reinterpret_cast<std::uintptr_t>(data) % kDataAlignment != 0) {
    impl->realigned.resize(size / kDataAlignment + 1);
    std::memcpy(impl->realigned.data(), data, size);
    data = impl->realigned.data();
  }
  const Status status =
      parse_gguf(static_cast<const std::byte*>(data), size, impl->name, &impl->parsed);
  if (!status.ok()) return status;
  return std::shared_ptr<const Gguf>(new Gguf(std::move(impl)));
}

void Gguf::forget(const void* data) const {
  if (impl_->file == nullptr || data == nullptr) return;
  for (const Tensor& t : impl_->parsed.tensors) {
    if (t.data == data) impl_->file->forget(t.data, t.elements * type_size(t.type));
  }
}

const std::string& Gguf::name() const { return impl_->name; }
const std::vector<Tensor>& Gguf::tensors() const { return impl_->parsed.tensors; }
const std::vector<std::pair<std::string, Value>>& Gguf::metadata() const {
  return impl_->parsed.metadata;
}

const Tensor* Gguf::find_tensor(std::string_view name) const {
  const ParsedGguf& p = impl_->parsed;
  const auto it = std::lower_bound(
      p.tensors_sorted.begin(), p.tensors_sorted.end(), name,
      [&](std::size_t i, std::string_view wanted) { return p.tensors[i].name < wanted; });
  return it != p.tensors_sorted.end() && p.tensors[*it].name == name ? &p.tensors[*it] : nullptr;
}

const Value* Gguf::find(std::string_view key) const {
  const ParsedGguf& p = impl_->parsed;
  const auto it = std::lower_bound(
      p.keys_sorted.begin(), p.keys_sorted.end(), key,
      [&](std::size_t i, std::string_view wanted) { return p.metadata[i].first < wanted; });
  return it != p.keys_sorted.end() && p.metadata[*it].first == key ? &p.metadata[*it].second
                                                                   : nullptr;
}

namespace {

// The value, or the error that a missing key or another kind gives.
Result<const Value*> typed(const Gguf& file, std::string_view key, Value::Kind kind) {
  const Value* value = file.find(key);
  const std::string where = file.name() + ": metadata '" + std::string(key) + "'";
  if (value == nullptr) {
    return Status(Code::kModel, where + " (" + kind_name(kind) + ") is missing");
  }
  if (value->kind != kind) {
    return Status(Code::kModel, where + " is of type " + kind_name(value->kind) + ", expected " +
                                    kind_name(kind));
  }
  return value;
}

}  // namespace

Result<std::uint64_t> Gguf::get_uint(std::string_view key) const {
  Result<const Value*> value = typed(*this, key, Value::Kind::kUint);
  if (!value.ok()) return value.status();
  return value.value()->u;
}

Result<double> Gguf::get_float(std::string_view key) const {
  Result<const Value*> value = typed(*this, key, Value::Kind::kFloat);
  if (!value.ok()) return value.status();
  return value.value()->f;
}

Result<bool> Gguf::get_bool(std::string_view key) const {
  Result<const Value*> value = typed(*this, key, Value::Kind::kBool);
  if (!value.ok()) return value.status();
  return value.value()->b;
}

Result<std::string> Gguf::get_string(std::string_view key) const {
  Result<const Value*> value = typed(*this, key, Value::Kind::kString);
  if (!value.ok()) return value.status();
  return value.value()->s;
}

}  // namespace pyvoc::io
