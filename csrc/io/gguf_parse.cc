#include "io/gguf_parse.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string_view>
#include <type_traits>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "The container is little-endian and mapped as it is: big-endian machines are not supported"
#endif

namespace pyvoc::io {
namespace {

constexpr std::uint32_t kVersion = 3;
constexpr std::size_t kMaxName = 63;             // of a tensor, as ggml
constexpr std::size_t kMaxKey = 255;             // of a metadata entry
constexpr std::size_t kMaxString = 1 << 20;      // one metadata value
constexpr std::size_t kMaxArrayItems = 1 << 16;  // of all arrays together
constexpr std::size_t kDefaultAlignment = 32;
constexpr std::size_t kMinAlignment = 8;
constexpr std::size_t kMaxAlignment = std::size_t{1} << 20;
constexpr std::size_t kMinEntryBytes = 8 + 1 + 4 + 1;           // key, type, value
constexpr std::size_t kMinTensorBytes = 8 + 1 + 4 + 8 + 4 + 8;  // name, 1 dimension, type, offset
constexpr std::uint32_t kArrayType = 9;

bool is_known(std::uint32_t type) {
  switch (static_cast<TensorType>(type)) {
    case TensorType::kF32:
    case TensorType::kI8:
    case TensorType::kI16:
    case TensorType::kI32:
    case TensorType::kBf16:
      return true;
  }
  return false;
}

// Well-formed UTF-8 without zero bytes; `plain` refuses control characters too.
bool is_text(std::string_view s, bool plain) {
  for (std::size_t i = 0; i < s.size();) {
    const auto c = static_cast<unsigned char>(s[i]);
    if (c == 0 || (plain && (c < 0x20 || c == 0x7f))) return false;
    if (c < 0x80) {
      ++i;
      continue;
    }
    const std::size_t n = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
    if (c < 0xc2 || c > 0xf4 || s.size() - i <= n) return false;
    std::uint32_t point = c & (0x3fu >> n);
    for (std::size_t k = 1; k <= n; ++k) {
      const auto d = static_cast<unsigned char>(s[i + k]);
      if ((d & 0xc0) != 0x80) return false;
      point = point << 6 | (d & 0x3fu);
    }
    const std::uint32_t least = n == 1 ? 0x80 : n == 2 ? 0x800 : 0x10000;
    if (point < least || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return false;
    i += n + 1;
  }
  return true;
}

class Parser {
 public:
  Parser(const std::byte* data, std::size_t size, const std::string& name, ParsedGguf* out)
      : data_(data), size_(size), name_(name), out_(*out) {}

  Status run() {
    std::uint64_t n_tensors = 0, n_entries = 0;
    if (Status s = header(&n_tensors, &n_entries); !s.ok()) return s;
    if (Status s = metadata(n_entries); !s.ok()) return s;
    if (Status s = tensors(n_tensors); !s.ok()) return s;
    return place_tensors();
  }

 private:
  Status bad(const std::string& what) const { return Status(Code::kModel, name_ + ": " + what); }
  Status truncated(const std::string& where) const {
    return bad("truncated: the file's " + std::to_string(size_) + " bytes end inside " + where);
  }
  std::size_t left() const { return size_ - at_; }

  template <typename T>
  bool take(T* value) {
    if (left() < sizeof(T)) return false;
    std::memcpy(value, data_ + at_, sizeof(T));
    at_ += sizeof(T);
    return true;
  }
  bool take_string(std::string* s, std::size_t limit) {
    std::uint64_t n = 0;
    if (!take(&n) || n > left() || n > limit) return false;
    s->assign(reinterpret_cast<const char*>(data_ + at_), static_cast<std::size_t>(n));
    at_ += static_cast<std::size_t>(n);
    return true;
  }

  Status header(std::uint64_t* n_tensors, std::uint64_t* n_entries) {
    if (size_ == 0) return bad("the file is empty");
    if (size_ < 4 || std::memcmp(data_, "GGUF", 4) != 0) {
      return bad("not a pyvoc model: it does not begin with 'GGUF'");
    }
    at_ = 4;
    std::uint32_t version = 0;
    if (!take(&version)) return truncated("the header");
    if (version == 0x03000000u) return bad("big-endian GGUF; pyvoc reads little-endian files");
    if (version != kVersion) {
      return bad("GGUF version " + std::to_string(version) + "; this pyvoc reads version 3");
    }
    if (!take(n_tensors) || !take(n_entries)) return truncated("the header");
    if (*n_entries > left() / kMinEntryBytes || *n_tensors > left() / kMinTensorBytes) {
      return bad("announces " + std::to_string(*n_tensors) + " tensors and " +
                 std::to_string(*n_entries) + " metadata entries, more than its " +
                 std::to_string(size_) + " bytes can hold");
    }
    return Status();
  }

  template <typename T>
  bool take_number(Value* v) {
    T x{};
    if (!take(&x)) return false;
    if constexpr (std::is_floating_point_v<T>) {
      v->kind = Value::Kind::kFloat;
      v->f = static_cast<double>(x);
    } else if constexpr (std::is_signed_v<T>) {
      v->kind = Value::Kind::kInt;
      v->i = x;
    } else {
      v->kind = Value::Kind::kUint;
      v->u = x;
    }
    return true;
  }

  Status scalar(std::uint32_t type, const std::string& key, Value* v) {
    bool complete = true;
    switch (type) {
      case 0:
        complete = take_number<std::uint8_t>(v);
        break;
      case 1:
        complete = take_number<std::int8_t>(v);
        break;
      case 2:
        complete = take_number<std::uint16_t>(v);
        break;
      case 3:
        complete = take_number<std::int16_t>(v);
        break;
      case 4:
        complete = take_number<std::uint32_t>(v);
        break;
      case 5:
        complete = take_number<std::int32_t>(v);
        break;
      case 6:
        complete = take_number<float>(v);
        break;
      case 7: {
        std::uint8_t b = 0;
        complete = take(&b);
        if (b > 1) return bad("metadata '" + key + "' is a bool of value " + std::to_string(b));
        v->kind = Value::Kind::kBool;
        v->b = b != 0;
        break;
      }
      case 8:
        v->kind = Value::Kind::kString;
        if (!take_string(&v->s, kMaxString)) {
          return bad("metadata '" + key + "' holds a string that is longer than the file or " +
                     std::to_string(kMaxString) + " bytes");
        }
        if (!is_text(v->s, false)) return bad("metadata '" + key + "' is not UTF-8 text");
        break;
      case 10:
        complete = take_number<std::uint64_t>(v);
        break;
      case 11:
        complete = take_number<std::int64_t>(v);
        break;
      case 12:
        complete = take_number<double>(v);
        break;
      default:
        return bad("metadata '" + key + "' has the unknown type " + std::to_string(type));
    }
    return complete ? Status() : truncated("metadata '" + key + "'");
  }

  Status array(const std::string& key, Value* v) {
    v->kind = Value::Kind::kArray;
    std::uint32_t type = 0;
    std::uint64_t n = 0;
    if (!take(&type) || !take(&n)) return truncated("metadata '" + key + "'");
    if (type == kArrayType) return bad("metadata '" + key + "' is an array of arrays");
    if (n > left() || n > kMaxArrayItems - array_items_) {
      return bad("metadata '" + key + "' is an array of " + std::to_string(n) +
                 " values, more than the file can hold or pyvoc accepts (" +
                 std::to_string(kMaxArrayItems) + " in all)");
    }
    array_items_ += static_cast<std::size_t>(n);
    v->array.resize(static_cast<std::size_t>(n));
    for (Value& item : v->array) {
      if (Status s = scalar(type, key, &item); !s.ok()) return s;
    }
    return Status();
  }

  Status metadata(std::uint64_t n) {
    out_.metadata.reserve(static_cast<std::size_t>(n));
    for (std::uint64_t i = 0; i < n; ++i) {
      std::string key;
      if (!take_string(&key, kMaxKey) || key.empty() || !is_text(key, true)) {
        return bad("the key of metadata entry " + std::to_string(i) + " is not a text of 1 to " +
                   std::to_string(kMaxKey) + " bytes");
      }
      std::uint32_t type = 0;
      if (!take(&type)) return truncated("metadata '" + key + "'");
      Value value;
      if (Status s = type == kArrayType ? array(key, &value) : scalar(type, key, &value); !s.ok()) {
        return s;
      }
      out_.metadata.emplace_back(std::move(key), std::move(value));
    }
    out_.keys_sorted = order(out_.metadata.size(), [this](std::size_t i) -> std::string_view {
      return out_.metadata[i].first;
    });
    for (std::size_t i = 1; i < out_.keys_sorted.size(); ++i) {
      const std::string& key = out_.metadata[out_.keys_sorted[i]].first;
      if (key == out_.metadata[out_.keys_sorted[i - 1]].first) {
        return bad("metadata '" + key + "' occurs twice");
      }
    }
    return alignment();
  }

  Status alignment() {
    for (const auto& [key, value] : out_.metadata) {
      if (key != "general.alignment") continue;
      if (value.kind != Value::Kind::kUint || value.u < kMinAlignment || value.u > kMaxAlignment ||
          (value.u & (value.u - 1)) != 0) {
        return bad("metadata 'general.alignment' is not a power of two from " +
                   std::to_string(kMinAlignment) + " to " + std::to_string(kMaxAlignment));
      }
      alignment_ = static_cast<std::size_t>(value.u);
    }
    return Status();
  }

  Status tensors(std::uint64_t n) {
    out_.tensors.reserve(static_cast<std::size_t>(n));
    offsets_.reserve(static_cast<std::size_t>(n));
    for (std::uint64_t i = 0; i < n; ++i) {
      Tensor t;
      if (!take_string(&t.name, kMaxName) || t.name.empty() || !is_text(t.name, true)) {
        return bad("the name of tensor " + std::to_string(i) + " is not a text of 1 to " +
                   std::to_string(kMaxName) + " bytes");
      }
      if (Status s = tensor(&t); !s.ok()) return s;
      out_.tensors.push_back(std::move(t));
    }
    out_.tensors_sorted = order(out_.tensors.size(), [this](std::size_t i) -> std::string_view {
      return out_.tensors[i].name;
    });
    for (std::size_t i = 1; i < out_.tensors_sorted.size(); ++i) {
      const std::string& tensor_name = out_.tensors[out_.tensors_sorted[i]].name;
      if (tensor_name == out_.tensors[out_.tensors_sorted[i - 1]].name) {
        return bad("tensor '" + tensor_name + "' occurs twice");
      }
    }
    return Status();
  }

  // The description after the name; shape and type only, the data is placed when all are known.
  Status tensor(Tensor* t) {
    const std::string who = "tensor '" + t->name + "'";
    std::uint32_t n_dims = 0, type = 0;
    if (!take(&n_dims)) return truncated(who);
    if (n_dims < 1 || n_dims > 4) {
      return bad(who + " has " + std::to_string(n_dims) + " dimensions; 1 to 4 are possible");
    }
    t->shape.resize(n_dims);
    t->elements = 1;
    for (std::size_t d = n_dims; d-- > 0;) {  // the file has the innermost dimension first
      std::uint64_t dim = 0;
      if (!take(&dim)) return truncated(who);
      if (dim == 0) return bad(who + " has a dimension of size 0");
      if (dim > size_ / t->elements) {
        return bad(who + " has more elements than the file has bytes");
      }
      t->shape[d] = static_cast<std::size_t>(dim);
      t->elements *= static_cast<std::size_t>(dim);
    }
    std::uint64_t offset = 0;
    if (!take(&type) || !take(&offset)) return truncated(who);
    if (!is_known(type)) {
      return bad(who + " has element type " + std::to_string(type) +
                 "; pyvoc reads F32 (0), I8 (24), I16 (25), I32 (26) and BF16 (30)");
    }
    t->type = static_cast<TensorType>(type);
    if (t->elements > size_ / type_size(t->type)) {
      return bad(who + " has more bytes than the file");
    }
    if (offset % alignment_ != 0) {
      return bad(who + " begins at offset " + std::to_string(offset) +
                 ", which is not aligned to " + std::to_string(alignment_));
    }
    if (offset > size_) return bad(who + " begins after the end of the file");
    offsets_.push_back(static_cast<std::size_t>(offset));
    return Status();
  }

  Status place_tensors() {
    if (out_.tensors.empty()) return Status();
    const std::size_t padding = (alignment_ - at_ % alignment_) % alignment_;
    if (padding > left()) return truncated("the padding before the tensors");
    const std::size_t start = at_ + padding;
    const std::size_t available = size_ - start;
    std::vector<std::size_t> by_offset(out_.tensors.size());
    for (std::size_t i = 0; i < by_offset.size(); ++i) by_offset[i] = i;
    std::sort(by_offset.begin(), by_offset.end(),
              [this](std::size_t a, std::size_t b) { return offsets_[a] < offsets_[b]; });
    const Tensor* previous = nullptr;
    std::size_t end = 0;
    for (std::size_t i : by_offset) {
      Tensor& t = out_.tensors[i];
      const std::size_t bytes = t.elements * type_size(t.type);
      if (offsets_[i] > available || bytes > available - offsets_[i]) {
        return bad("truncated: tensor '" + t.name + "' needs " + std::to_string(bytes) +
                   " bytes at offset " + std::to_string(offsets_[i]) + " of the data, which has " +
                   std::to_string(available));
      }
      if (previous != nullptr && offsets_[i] < end) {
        return bad("tensors '" + previous->name + "' and '" + t.name + "' overlap");
      }
      t.data = data_ + start + offsets_[i];
      end = offsets_[i] + bytes;
      previous = &t;
    }
    return Status();
  }

  template <typename NameOf>
  static std::vector<std::size_t> order(std::size_t n, NameOf name_of) {
    std::vector<std::size_t> sorted(n);
    for (std::size_t i = 0; i < n; ++i) sorted[i] = i;
    std::sort(sorted.begin(), sorted.end(),
              [&](std::size_t a, std::size_t b) { return name_of(a) < name_of(b); });
    return sorted;
  }

  const std::byte* data_;
  std::size_t size_;
  const std::string& name_;
  ParsedGguf& out_;
  std::size_t at_ = 0;
  std::size_t alignment_ = kDefaultAlignment;
  std::size_t array_items_ = 0;
  std::vector<std::size_t> offsets_;  // of each tensor, from the start of the data section
};

}  // namespace

const char* kind_name(Value::Kind kind) {
  switch (kind) {
    case Value::Kind::kUint:
      return "unsigned integer";
    case Value::Kind::kInt:
      return "signed integer";
    case Value::Kind::kFloat:
      return "float";
    case Value::Kind::kBool:
      return "bool";
    case Value::Kind::kString:
      return "string";
    case Value::Kind::kArray:
      return "array";
  }
  return "unknown";
}

Status parse_gguf(const std::byte* data, std::size_t size, const std::string& name,
                  ParsedGguf* parsed) {
  return Parser(data, size, name, parsed).run();
}

}  // namespace pyvoc::io
