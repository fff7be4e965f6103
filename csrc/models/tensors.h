// Takes tensors out of a model file by name, shape and type, and remembers everything that is
// wrong.
#ifndef PYVOC_MODELS_TENSORS_H_
#define PYVOC_MODELS_TENSORS_H_

#include <initializer_list>
#include <set>
#include <string>
#include <vector>

#include "io/gguf.h"
#include "nn/linear.h"

namespace pyvoc::models {

// What a matrix may be as integers, and which scales they have.
enum class Scales { kNoIntegers, kAny, kBf16 };

constexpr float kMostScale = 0x1p100f;  // of integers: their values are finite floats

class Tensors {
 public:
  explicit Tensors(const io::Gguf& file) : file_(file) {}

  // A finite F32 tensor of exactly this shape; nullptr (and a problem) otherwise.
  const float* f32(const std::string& name, const std::vector<std::size_t>& shape);

  // Scales of integers: as f32, and positive up to 2^100.
  const float* scales(const std::string& name, std::size_t n, Scales kind);

  // As f32, but may be absent.
  const float* optional_f32(const std::string& name, const std::vector<std::size_t>& shape);

  // A tensor of this shape and one of these types; floats are checked to be finite.
  const io::Tensor* any(const std::string& name, const std::vector<std::size_t>& shape,
                        std::initializer_list<io::TensorType> types);

  // A matrix [rows, cols] for nn::Linear: F32, BF16 or, where it may be, I8 with `.scale`;
  // block-sparse when `sparse` and the file holds blocks.
  nn::LinearSource matrix(const std::string& name, int rows, int cols, int gates, bool sparse,
                          Scales int8 = Scales::kNoIntegers);

  // Gives back the memory of a source's tensor, which was packed and is not read again.
  template <typename Source>
  void forget(const Source& source) const {
    file_.forget(source.data);
  }

  void problem(const std::string& text) { problems_.push_back(text); }
  // Names tensors that nobody asked for, and gives all problems as one Status.
  Status finish();

 private:
  bool read_blocks(const io::Tensor& tensor, nn::LinearSource& source);
  void check_i8(const io::Tensor& tensor, const nn::LinearSource& source);

  const io::Gguf& file_;
  std::set<std::string> used_;
  std::vector<std::string> problems_;
};

// What layers call F32, BF16 or I8.
backends::Weights weights_of(const io::Tensor& tensor);

// Widens BF16 or F32 data to float.
void widen(const io::Tensor& tensor, float* out);

}  // namespace pyvoc::models
#endif  // PYVOC_MODELS_TENSORS_H_
