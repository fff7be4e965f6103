// A GGUF file taken apart, changed where it means something, and put together again. Bytes that are
// flipped anywhere mostly give files that are refused at once; these get further.
#ifndef PYVOC_TESTS_FUZZ_GGUF_PARTS_H_
#define PYVOC_TESTS_FUZZ_GGUF_PARTS_H_

#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace pyvoc::fuzz {

class GgufParts {
 public:
  // False where the bytes are no file that could be taken apart.
  bool parse(const std::uint8_t* data, std::size_t size);
  std::string build() const;
  // One change; `random` decides which.
  void change(std::mt19937& random);

 private:
  struct Entry {
    std::string key, value;
    std::uint32_t type;
  };
  struct Tensor {
    std::string name, data;
    std::vector<std::uint64_t> dims;
    std::uint32_t type;
    std::int64_t moved = 0;  // from where its data should be
  };

  void change_entry(Entry& entry, std::mt19937& random);
  void change_tensor(Tensor& tensor, std::mt19937& random);
  static void change_data(Tensor& tensor, std::mt19937& random);

  std::vector<Entry> entries_;
  std::vector<Tensor> tensors_;
  std::uint32_t version_ = 3;
};

namespace detail {

inline std::size_t pick(std::mt19937& random, std::size_t n) { return n == 0 ? 0 : random() % n; }

template <typename T>
void put(std::string& to, T value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

inline void put_text(std::string& to, const std::string& text) {
  put<std::uint64_t>(to, text.size());
  to += text;
}

inline std::size_t value_size(std::uint32_t type) {
  constexpr std::size_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return type < 13 ? sizes[type] : 0;
}

inline std::size_t element_size(std::uint32_t type) {
  return type == 0 || type == 26 ? 4 : type == 25 || type == 30 ? 2 : 1;
}

constexpr std::size_t kAlignment = 32;

inline std::size_t aligned(std::size_t n) { return (n + kAlignment - 1) / kAlignment * kAlignment; }

// Reads forwards; `good` turns false at the end.
struct Reader {
  const std::uint8_t* data;
  std::size_t size, at = 0;
  bool good = true;

  std::string bytes(std::uint64_t n) {
    if (n > size - at) {
      good = false;
      return {};
    }
    std::string found(reinterpret_cast<const char*>(data) + at, n);
    at += n;
    return found;
  }
  template <typename T>
  T number() {
    T value{};
    const std::string raw = bytes(sizeof value);
    if (good) std::memcpy(&value, raw.data(), sizeof value);
    return value;
  }
  std::string text() {
    const auto n = number<std::uint64_t>();
    return good ? bytes(n) : std::string();
  }
};

// Numbers at which sizes and products change their nature.
inline std::uint64_t edge(std::mt19937& random) {
  constexpr std::uint64_t kEdges[] = {
      0,     1,          2,        3,          7,          8,          15,   16,   17,
      31,    64,         127,      128,        255,        256,        4095, 4096, 65535,
      65536, 0x7fffffff, 1u << 31, 0xffffffff, 1ull << 32, 1ull << 62, ~0ull};
  return kEdges[pick(random, sizeof kEdges / sizeof *kEdges)];
}

}  // namespace detail

inline bool GgufParts::parse(const std::uint8_t* data, std::size_t size) {
  detail::Reader in{data, size};
  if (in.bytes(4) != "GGUF") return false;
  version_ = in.number<std::uint32_t>();
  const auto n_tensors = in.number<std::uint64_t>(), n_entries = in.number<std::uint64_t>();
  if (!in.good || n_tensors > 4096 || n_entries > 4096) return false;
  for (std::uint64_t i = 0; in.good && i < n_entries; ++i) {
    Entry entry;
    entry.key = in.text();
    entry.type = in.number<std::uint32_t>();
    if (entry.type == 8) {
      entry.value = in.text();
    } else if (const std::size_t n = detail::value_size(entry.type)) {
      entry.value = in.bytes(n);
    } else {
      return false;  // arrays are in no model
    }
    entries_.push_back(entry);
  }
  std::vector<std::uint64_t> offsets;
  for (std::uint64_t i = 0; in.good && i < n_tensors; ++i) {
    Tensor tensor;
    tensor.name = in.text();
    const auto dims = in.number<std::uint32_t>();
    if (dims > 8) return false;
    for (std::uint32_t k = 0; k < dims; ++k) tensor.dims.push_back(in.number<std::uint64_t>());
    tensor.type = in.number<std::uint32_t>();
    offsets.push_back(in.number<std::uint64_t>());
    tensors_.push_back(tensor);
  }
  const std::size_t start = detail::aligned(in.at);
  for (std::size_t i = 0; in.good && i < tensors_.size(); ++i) {
    std::uint64_t n = detail::element_size(tensors_[i].type);
    for (const std::uint64_t d : tensors_[i].dims) n *= d < size ? d : 1;
    if (start > size || offsets[i] > size - start || n > size - start - offsets[i]) return false;
    tensors_[i].data.assign(reinterpret_cast<const char*>(data) + start + offsets[i], n);
  }
  return in.good;
}

inline std::string GgufParts::build() const {
  std::string out = "GGUF", data;
  detail::put(out, version_);
  detail::put<std::uint64_t>(out, tensors_.size());
  detail::put<std::uint64_t>(out, entries_.size());
  for (const Entry& entry : entries_) {
    detail::put_text(out, entry.key);
    detail::put(out, entry.type);
    if (entry.type == 8) {
      detail::put_text(out, entry.value);
    } else {
      out += entry.value;
    }
  }
  for (const Tensor& tensor : tensors_) {
    detail::put_text(out, tensor.name);
    detail::put<std::uint32_t>(out, static_cast<std::uint32_t>(tensor.dims.size()));
    for (const std::uint64_t d : tensor.dims) detail::put(out, d);
    detail::put(out, tensor.type);
    detail::put<std::uint64_t>(out, data.size() + static_cast<std::uint64_t>(tensor.moved));
    data += tensor.data;
    data.resize(detail::aligned(data.size()));
  }
  out.resize(detail::aligned(out.size()));
  return out + data;
}

inline void GgufParts::change(std::mt19937& random) {
  using detail::pick;
  const std::size_t what = pick(random, 16);
  if (what < 5 && !entries_.empty()) {
    change_entry(entries_[pick(random, entries_.size())], random);
  } else if (what < 14 && !tensors_.empty()) {
    change_tensor(tensors_[pick(random, tensors_.size())], random);
  } else if (what == 14 && tensors_.size() > 1) {
    std::swap(tensors_[pick(random, tensors_.size())].data,
              tensors_[pick(random, tensors_.size())].data);
  } else if (!entries_.empty()) {
    entries_.erase(entries_.begin() + static_cast<long>(pick(random, entries_.size())));
  }
}

inline void GgufParts::change_entry(Entry& entry, std::mt19937& random) {
  using detail::pick;
  if (entry.type == 8) {
    // Lists of numbers among them: "8 8 2 2".
    constexpr const char* kTexts[] = {
        "",     "0",   "1 1",      "4096", "-1",     "1 2 3 4 5 6 7 8 9", "8 8 2 2", "f32", "int8",
        "bf16", "mel", "lpcnet36", "zero", "reflect"};
    if (pick(random, 3) == 0) {
      entry.value = kTexts[pick(random, sizeof kTexts / sizeof *kTexts)];
    } else if (!entry.value.empty()) {
      entry.value[pick(random, entry.value.size())] = static_cast<char>(' ' + pick(random, 95));
    }
    return;
  }
  if (pick(random, 8) == 0) {
    entry.type = static_cast<std::uint32_t>(pick(random, 14));
    entry.value.resize(detail::value_size(entry.type));
    return;
  }
  std::uint64_t number = detail::edge(random);
  if (entry.type == 6) {
    constexpr float kFloats[] = {0.0f, -1.0f, 1e-38f, 1e38f, 0.5f, 1e9f, -0.0f};
    const float value = kFloats[pick(random, 7)];
    number = 0;
    std::memcpy(&number, &value, sizeof value);
  } else if (pick(random, 2) == 0) {  // near what it was
    std::uint64_t before = 0;
    std::memcpy(&before, entry.value.data(), entry.value.size());
    number = before + pick(random, 5) - 2;
  }
  std::memcpy(&entry.value[0], &number, entry.value.size());
}

inline void GgufParts::change_tensor(Tensor& tensor, std::mt19937& random) {
  using detail::pick;
  constexpr std::uint32_t kTypes[] = {0, 24, 25, 26, 30};
  switch (pick(random, 20)) {
    case 0:
      if (!tensor.dims.empty()) {
        tensor.dims[pick(random, tensor.dims.size())] = detail::edge(random);
      }
      break;
    case 1:  // a shape of as many elements
      if (tensor.dims.size() > 1) std::swap(tensor.dims.front(), tensor.dims.back());
      break;
    case 2:  // a shape that fits its data
      tensor.dims = {tensor.data.size() / detail::element_size(tensor.type)};
      break;
    case 3:
      tensor.type = kTypes[pick(random, 5)];
      break;
    case 4:
      tensor.moved = static_cast<std::int64_t>(pick(random, 9)) * 32 - 128;
      break;
    default:
      change_data(tensor, random);
  }
}

inline void GgufParts::change_data(Tensor& tensor, std::mt19937& random) {
  using detail::pick;
  if (tensor.data.empty()) return;
  const std::size_t width = detail::element_size(tensor.type);
  if (tensor.type == 0 && pick(random, 3) == 0) {  // all of it larger
    constexpr float kFactors[] = {0.0f, -1.0f, 10.0f, 1e6f, 1e18f};
    const float factor = kFactors[pick(random, 5)];
    for (std::size_t i = 0; i + 4 <= tensor.data.size(); i += 4) {
      float value;
      std::memcpy(&value, &tensor.data[i], 4);
      value *= factor;
      std::memcpy(&tensor.data[i], &value, 4);
    }
    return;
  }
  for (std::size_t n = 1 + pick(random, 8); n > 0; --n) {
    const std::size_t at = pick(random, tensor.data.size() / width) * width;
    std::uint64_t number = pick(random, 2) == 0 ? detail::edge(random) : random();
    if (tensor.type == 0 && pick(random, 2) == 0) {
      constexpr float kFloats[] = {0.0f, 1e30f, -1e30f, 3e38f, 1e-40f, 1e4f};
      const float value = kFloats[pick(random, 6)];
      std::memcpy(&number, &value, 4);
    }
    std::memcpy(&tensor.data[at], &number, width);
  }
}

}  // namespace pyvoc::fuzz
#endif  // PYVOC_TESTS_FUZZ_GGUF_PARTS_H_
