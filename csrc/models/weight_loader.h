// From a model file's tensors to packed weights: validates first, packs second, so that nothing is
// packed unless every tensor is as it should be. A family says which tensors and how.
#ifndef PYVOC_MODELS_WEIGHT_LOADER_H_
#define PYVOC_MODELS_WEIGHT_LOADER_H_

#include <initializer_list>
#include <string>
#include <vector>

#include "models/packed_weights.h"
#include "models/quantized_convs.h"
#include "models/tensors.h"
#include "nn/conv.h"
#include "nn/gru.h"

namespace pyvoc::models {

constexpr std::initializer_list<io::TensorType> kFloat32 = {io::TensorType::kF32};
constexpr std::initializer_list<io::TensorType> kFloats = {io::TensorType::kF32,
                                                           io::TensorType::kBf16};
constexpr std::initializer_list<io::TensorType> kFloatsOrInt8 = {
    io::TensorType::kF32, io::TensorType::kBf16, io::TensorType::kI8};

inline std::size_t size(int n) { return static_cast<std::size_t>(n); }

class WeightLoader {
 public:
  // May throw std::bad_alloc.
  Status run();

 protected:
  WeightLoader(const io::Gguf& file, const kernels::KernelTable& kernels, PackedWeights& weights)
      : tensors_(file), kernels_(kernels), arena_(weights.arena), plan_(weights.plan) {}
  ~WeightLoader() = default;
  WeightLoader(const WeightLoader&) = delete;
  WeightLoader& operator=(const WeightLoader&) = delete;

  // Takes all tensors out of tensors_, which remembers what is wrong with them.
  virtual void gather() = 0;
  // Packs what was gathered. What fails goes through take().
  virtual void pack() = 0;

  // Tensors `name`.weight [outputs, inputs, taps], [inputs, outputs, taps] when transposed, and
  // `name`.bias [outputs].
  nn::ConvSource conv(const std::string& name, int outputs, int inputs, int taps,
                      std::initializer_list<io::TensorType> types, bool transposed = false);

  // Tells any_int8() and count_int8() of a layer that int8 may quantise.
  template <typename Source>
  void count(const Source& source) {
    ++layers_;
    if (source.data != nullptr && source.type == backends::Weights::kI8) ++integers_;
  }
  // Whether any of the layers that were counted is I8.
  bool any_int8() const { return integers_ != 0; }
  // The same where it must be all or none, a problem otherwise. `which`: "of the sample loop".
  bool count_int8(const std::string& which);

  // The layer, or, when it could not be packed, one that is empty, and run() will say why.
  template <typename Layer>
  Layer take(const Result<Layer>& packed) {
    if (packed.ok()) return packed.value();
    if (status_.ok()) status_ = packed.status();
    return Layer();
  }

  // A line of the plan for a layer that take() gave; `op` where its matrix does not tell.
  template <typename Layer>
  void list(const std::string& name, const Layer& layer, const char* op = nullptr) {
    if (!status_.ok()) return;
    const backends::MatVec& d = layer.description();
    plan_.push_back({name, op == nullptr ? backends::op_name(d.op) : op,
                     backends::weights_name(d.weights), layer.backend(), d.rows, d.cols});
  }

  // Packed, and in the plan.
  nn::Linear pack_linear(const std::string& name, const nn::LinearSource& source);
  nn::Gru pack_gru(const std::string& name, const nn::GruSource& source);
  nn::Conv list_conv(const std::string& name, const Result<nn::Conv>& packed);
  DenseLayer pack_dense(const std::string& name, const nn::LinearSource& source, const float* bias);
  // A convolution of floats as a matrix over `taps` frames of inputs, oldest first.
  DenseLayer pack_dense(const std::string& name, const nn::ConvSource& source);
  float* pack_floats(const float* from, int n);  // [n padded]

  Tensors tensors_;
  const kernels::KernelTable& kernels_;
  Arena& arena_;
  std::vector<PlanEntry>& plan_;
  Status status_;  // of packing: the first error

 private:
  int layers_ = 0, integers_ = 0;
};

// The same with a family's own configuration and weights, a PackedWeights and more.
template <typename C, typename W>
class LoaderOf : public WeightLoader {
 public:
  LoaderOf(const io::Gguf& file, const C& config, const kernels::KernelTable& kernels, W& weights)
      : WeightLoader(file, kernels, weights), c_(config), w_(weights) {}

 protected:
  ~LoaderOf() = default;

  const C& c_;
  W& w_;
};

}  // namespace pyvoc::models
#endif  // PYVOC_MODELS_WEIGHT_LOADER_H_
