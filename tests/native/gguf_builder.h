// Writes GGUF files in memory for tests, sound ones and damaged ones alike.
#ifndef PYVOC_TESTS_NATIVE_GGUF_BUILDER_H_
#define PYVOC_TESTS_NATIVE_GGUF_BUILDER_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

namespace pyvoc::test {

// Bytes of a file, appended little-endian.
struct Bytes {
  std::string data;

  template <typename T>
  Bytes& number(T value) {
    data.append(reinterpret_cast<const char*>(&value), sizeof(T));
    return *this;
  }
  Bytes& text(const std::string& s) {
    number<std::uint64_t>(s.size());
    data += s;
    return *this;
  }
  Bytes& raw(const std::string& s) {
    data += s;
    return *this;
  }
};

struct TensorRow {
  std::string name;
  std::vector<std::uint64_t> dims;  // innermost first, as in the file
  std::uint32_t type = 0;
  std::uint64_t offset = 0;
};

struct GgufBuilder {
  std::uint32_t version = 3;
  std::vector<std::string> entries;  // encoded: key, type, value
  std::vector<TensorRow> tensors;
  std::size_t alignment = 32;  // of the data section; general.alignment is the caller's to add
  std::string payload;         // the data section

  GgufBuilder& entry(const std::string& key, std::uint32_t type, const Bytes& value) {
    entries.push_back(Bytes().text(key).number(type).raw(value.data).data);
    return *this;
  }
  GgufBuilder& tensor(const std::string& name, std::vector<std::uint64_t> dims, std::uint32_t type,
                      std::uint64_t offset) {
    tensors.push_back({name, std::move(dims), type, offset});
    return *this;
  }

  std::string build() const {
    Bytes out;
    out.raw("GGUF").number(version);
    out.number<std::uint64_t>(tensors.size()).number<std::uint64_t>(entries.size());
    for (const std::string& e : entries) out.raw(e);
    for (const TensorRow& t : tensors) {
      out.text(t.name).number(static_cast<std::uint32_t>(t.dims.size()));
      for (std::uint64_t d : t.dims) out.number(d);
      out.number(t.type).number(t.offset);
    }
    out.data.resize((out.data.size() + alignment - 1) / alignment * alignment);
    return out.data + payload;
  }
};

// A copy of exactly the file's size at a 64-byte boundary, so that a sanitizer sees every overrun.
class AlignedCopy {
 public:
  explicit AlignedCopy(const std::string& bytes)
      : size_(bytes.size()),
        data_(
            static_cast<std::byte*>(::operator new(size_ == 0 ? 1 : size_, std::align_val_t(64)))) {
    if (size_ != 0) std::memcpy(data_.get(), bytes.data(), size_);
  }
  const std::byte* data() const { return data_.get(); }
  std::size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(std::byte* p) const { ::operator delete(p, std::align_val_t(64)); }
  };
  std::size_t size_;
  std::unique_ptr<std::byte, Free> data_;
};

}  // namespace pyvoc::test
#endif  // PYVOC_TESTS_NATIVE_GGUF_BUILDER_H_
