#include "models/tensors.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/views.h"

namespace pyvoc::models {
namespace {

using io::Tensor;
using io::TensorType;

constexpr std::size_t kMostText = 1200;  // of a message, which the C ABI cuts at 2047

std::string shape_text(const std::vector<std::size_t>& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  }
  return text + "]";
}

bool finite(const Tensor& t) {
  if (t.type == TensorType::kF32) {
    const float* p = reinterpret_cast<const float*>(t.data);
    return std::all_of(p, p + t.elements, [](float x) { return std::isfinite(x); });
  }
  if (t.type == TensorType::kBf16) {
    const std::uint16_t* p = reinterpret_cast<const std::uint16_t*>(t.data);
    return std::all_of(p, p + t.elements, [](std::uint16_t x) { return (x & 0x7f80) != 0x7f80; });
  }
  return true;
}

}  // namespace

backends::Weights weights_of(const Tensor& tensor) {
  return tensor.type == TensorType::kF32    ? backends::Weights::kF32
         : tensor.type == TensorType::kBf16 ? backends::Weights::kBf16
                                            : backends::Weights::kI8;
}

void widen(const Tensor& tensor, float* out) {
  if (tensor.type == TensorType::kF32) {
    std::memcpy(out, tensor.data, tensor.elements * sizeof(float));
    return;
  }
  const std::uint16_t* p = reinterpret_cast<const std::uint16_t*>(tensor.data);
  for (std::size_t i = 0; i < tensor.elements; ++i) out[i] = kernels::bf16_to_float(p[i]);
}

const Tensor* Tensors::any(const std::string& name, const std::vector<std::size_t>& shape,
                           std::initializer_list<TensorType> types) {
  const Tensor* t = file_.find_tensor(name);
  if (t == nullptr) {
    problem("tensor " + name + " is missing");
    return nullptr;
  }
  used_.insert(name);
  if (t->shape != shape) {
    problem("tensor " + name + " has shape " + shape_text(t->shape) + ", expected " +
            shape_text(shape));
    return nullptr;
  }
  if (std::find(types.begin(), types.end(), t->type) == types.end()) {
    std::string wanted;
    for (TensorType type : types) {
      wanted += std::string(wanted.empty() ? "" : " or ") + io::type_name(type);
    }
    problem("tensor " + name + " is " + io::type_name(t->type) + ", expected " + wanted);
    return nullptr;
  }
  if (!finite(*t)) {
    problem("tensor " + name + " holds a NaN or an infinity");
    return nullptr;
  }
  return t;
}

const float* Tensors::f32(const std::string& name, const std::vector<std::size_t>& shape) {
  const Tensor* t = any(name, shape, {TensorType::kF32});
  return t == nullptr ? nullptr : reinterpret_cast<const float*>(t->data);
}

const float* Tensors::scales(const std::string& name, std::size_t n, Scales kind) {
  const float* found = f32(name, {n});
  const auto sound = [=](float x) {
    std::uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    return x > 0.0f && x <= kMostScale && (kind == Scales::kAny || (bits & 0xffffu) == 0);
  };
  if (found != nullptr && !std::all_of(found, found + n, sound)) {
    problem("tensor " + name + " has scales that are not positive" +
            (kind == Scales::kBf16 ? " bf16" : "") + " numbers up to 2^100");
  }
  return found;
}

const float* Tensors::optional_f32(const std::string& name, const std::vector<std::size_t>& shape) {
  return file_.find_tensor(name) == nullptr ? nullptr : f32(name, shape);
}

bool Tensors::read_blocks(const Tensor& tensor, nn::LinearSource& source) {
  const std::size_t n = tensor.shape[0];
  source.block_rows = static_cast<int>(tensor.shape[1]);
  source.block_cols = static_cast<int>(tensor.shape[2]);
  const bool known = (source.block_rows == 8 && source.block_cols == 4) ||
                     (source.block_rows == 16 && source.block_cols == 1);
  if (!known || source.rows % source.block_rows != 0 || source.cols % source.block_cols != 0) {
    problem("tensor " + tensor.name + " has blocks " + shape_text(tensor.shape) +
            ", expected [n, 8, 4] or [n, 16, 1] that divide the matrix");
    return false;
  }
  const Tensor* index = any(tensor.name + ".block_index", {n, 2}, {TensorType::kI32});
  if (index == nullptr) return false;
  const std::int32_t* p = reinterpret_cast<const std::int32_t*>(index->data);
  const std::int32_t rows = source.rows / source.block_rows, cols = source.cols / source.block_cols;
  for (std::size_t b = 0; b < n; ++b) {
    const bool inside =
        p[2 * b] >= 0 && p[2 * b] < rows && p[2 * b + 1] >= 0 && p[2 * b + 1] < cols;
    const bool sorted = b == 0 || p[2 * b - 2] < p[2 * b] ||
                        (p[2 * b - 2] == p[2 * b] && p[2 * b - 1] < p[2 * b + 1]);
    if (!inside || !sorted) {
      problem("tensor " + index->name + " has block " + std::to_string(b) +
              (inside ? " out of order" : " outside the matrix"));
      return false;
    }
  }
  source.n_blocks = static_cast<int>(n);
  source.block_index = p;
  return true;
}

// Sums of neighbouring weights must stay within what 16-bit pair sums hold on every tier.
void Tensors::check_i8(const Tensor& tensor, const nn::LinearSource& source) {
  const std::int8_t* q = reinterpret_cast<const std::int8_t*>(tensor.data);
  const std::size_t width = source.block_rows == 0 ? source.cols : source.block_cols;
  for (std::size_t start = 0; start < tensor.elements; start += width) {
    for (std::size_t i = 0; i < width; ++i) {
      const int pair = i + 1 < width && i % 2 == 0 ? q[start + i] + q[start + i + 1] : 0;
      if (q[start + i] == -128 || pair > 129 || pair < -129) {
        problem("tensor " + tensor.name + " has weights beyond +-127 or pairs beyond +-129");
        return;
      }
    }
  }
}

nn::LinearSource Tensors::matrix(const std::string& name, int rows, int cols, int gates,
                                 bool sparse, Scales int8) {
  nn::LinearSource source;
  source.rows = rows;
  source.cols = cols;
  source.gates = gates;
  const Tensor* t = file_.find_tensor(name);
  const bool blocks = sparse && t != nullptr && t->shape.size() == 3;
  const std::vector<std::size_t> shape =
      blocks ? t->shape
             : std::vector<std::size_t>{static_cast<std::size_t>(rows),
                                        static_cast<std::size_t>(cols)};
  t = int8 != Scales::kNoIntegers
          ? any(name, shape, {TensorType::kF32, TensorType::kBf16, TensorType::kI8})
          : any(name, shape, {TensorType::kF32, TensorType::kBf16});
  if (t == nullptr) return source;
  source.data = t->data;
  source.type = weights_of(*t);
  if (blocks && !read_blocks(*t, source)) return source;
  if (source.block_rows == 16 && (t->type != TensorType::kF32 || rows / gates % 16 != 0)) {
    problem("tensor " + name + " has 16 x 1 blocks, which are F32 with multiples of 16 rows only");
  }
  if (t->type == TensorType::kI8) {
    source.scale = scales(name + ".scale", static_cast<std::size_t>(rows), int8);
    check_i8(*t, source);
  }
  return source;
}

Status Tensors::finish() {
  for (const Tensor& t : file_.tensors()) {
    if (used_.count(t.name) == 0) problem("tensor " + t.name + " is not part of the model");
  }
  if (problems_.empty()) return Status();
  std::string text;
  std::size_t shown = 0;
  for (; shown < problems_.size() && text.size() < kMostText; ++shown) {
    text += (shown == 0 ? "" : "; ") + problems_[shown];
  }
  if (shown < problems_.size()) {
    text += "; and " + std::to_string(problems_.size() - shown) + " more";
  }
  return Status(Code::kModel, file_.name() + ": " + text);
}

}  // namespace pyvoc::models
