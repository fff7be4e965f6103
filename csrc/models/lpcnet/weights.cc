#include "models/lpcnet/weights.h"

#include <cstring>

#include "models/weight_loader.h"

namespace pyvoc::models::lpcnet {
namespace {

using io::TensorType;
using Shape = std::vector<std::size_t>;

constexpr int kTableLimit = 10922;  // three rows add up in 16 bits

class Loader final : public LoaderOf<Config, Weights> {
 public:
  using LoaderOf::LoaderOf;

 private:
  struct Dense {
    nn::LinearSource matrix;
    const float* bias = nullptr;
  };

  Dense dense(const std::string& name, int rows, int cols) {
    return {tensors_.matrix(name + ".weight", rows, cols, 1, false, false),
            tensors_.f32(name + ".bias", {size(rows)})};
  }

  void gather() override {
    const Shape a3 = {size(3 * c_.gru_a)}, b3 = {size(3 * c_.gru_b)};
    embed_pitch_ = tensors_.any("embed_pitch.weight", {kLevels, size(c_.pitch_dims)}, kFloats);
    conv1_ = conv("conv1", c_.cond, c_.feature_dims + c_.pitch_dims, c_.conv1_kernel, kFloats);
    conv2_ = conv("conv2", c_.cond, c_.cond, c_.conv2_kernel, kFloats);
    dense1_ = dense("dense1", c_.cond, c_.cond);
    dense2_ = dense("dense2", c_.cond, c_.cond);
    const char* names[3] = {"gru_a.embed_sig", "gru_a.embed_pred", "gru_a.embed_exc"};
    for (int i = 0; i < 3; ++i) {
      tables_[i] = tensors_.any(names[i], {kLevels, size(3 * c_.gru_a)},
                                {TensorType::kF32, TensorType::kBf16, TensorType::kI16});
      if (tables_[i] != nullptr && tables_[0] != nullptr && tables_[i]->type != tables_[0]->type) {
        tensors_.problem("the three gru_a.embed_* tables are not of one type");
      }
      if (tables_[i] != nullptr && tables_[i]->type == TensorType::kI16) {
        const float* scale = tensors_.f32(std::string(names[i]) + ".scale", {1});
        if (scale != nullptr && i > 0 && *scale != w_.tables.scale) {
          tensors_.problem("the scales of the three gru_a.embed_* tables differ");
        }
        if (scale != nullptr) w_.tables.scale = *scale;
        const auto* q = reinterpret_cast<const std::int16_t*>(tables_[i]->data);
        for (std::size_t k = 0; k < tables_[i]->elements; ++k) {
          if (q[k] > kTableLimit || q[k] < -kTableLimit) {
            tensors_.problem(std::string("tensor ") + names[i] + " has values beyond +-10922");
            break;
          }
        }
      }
    }
    gru_a_cond_ = tensors_.matrix("gru_a.cond.weight", 3 * c_.gru_a, c_.cond, 3, false, false);
    gru_a_.recurrent = tensors_.matrix("gru_a.weight_hh", 3 * c_.gru_a, c_.gru_a, 3, true, true);
    gru_a_.diag = tensors_.optional_f32("gru_a.diag", a3);
    gru_a_.bias_ih = tensors_.f32("gru_a.bias_ih", a3);
    gru_a_.bias_hh = tensors_.f32("gru_a.bias_hh", a3);
    gru_b_input_ = tensors_.matrix("gru_b.weight_ih", 3 * c_.gru_b, c_.gru_a, 3, true, true);
    gru_b_cond_ = tensors_.matrix("gru_b.cond.weight", 3 * c_.gru_b, c_.cond, 3, false, false);
    gru_b_.recurrent = tensors_.matrix("gru_b.weight_hh", 3 * c_.gru_b, c_.gru_b, 3, false, true);
    gru_b_.bias_ih = tensors_.f32("gru_b.bias_ih", b3);
    gru_b_.bias_hh = tensors_.f32("gru_b.bias_hh", b3);
    dual_fc_ = tensors_.any("dual_fc.weight", {2, kLevels, size(c_.gru_b)}, kFloats);
    dual_fc_bias_ = tensors_.f32("dual_fc.bias", {2, kLevels});
    dual_fc_factor_ = tensors_.f32("dual_fc.factor", {2, kLevels});
    const bool a_int8 = gru_a_.recurrent.type == backends::Weights::kI8;
    const bool b_int8 = gru_b_input_.type == backends::Weights::kI8;
    if (b_int8 != a_int8 || (gru_b_.recurrent.type == backends::Weights::kI8) != b_int8) {
      tensors_.problem(
          "gru_a.weight_hh, gru_b.weight_ih and gru_b.weight_hh are not all I8 or all float");
    }
    if (gru_b_input_.block_rows == 16) {
      tensors_.problem("gru_b.weight_ih has 16 x 1 blocks, expected dense or 8 x 4");
    }
  }

  const std::byte* pack_table(const io::Tensor& t, std::size_t item, int stride) {
    std::byte* to = arena_.allocate<std::byte>(kLevels * 3 * size(stride) * item);
    const std::size_t n = size(c_.gru_a) * item, padded = size(stride) * item;
    for (std::size_t part = 0; part < 3 * kLevels; ++part) {
      std::memcpy(to + part * padded, t.data + part * n, n);
    }
    return to;
  }

  void pack_tables() {
    const TensorType type = tables_[0]->type;
    const std::size_t item = io::type_size(type);
    const int stride = nn::padded(c_.gru_a);
    w_.tables.type = type == TensorType::kF32    ? nn::RowType::kF32
                     : type == TensorType::kBf16 ? nn::RowType::kBf16
                                                 : nn::RowType::kI16;
    w_.tables.row_bytes = 3 * size(stride) * item;
    w_.tables.sig = pack_table(*tables_[0], item, stride);
    w_.tables.pred = pack_table(*tables_[1], item, stride);
    w_.tables.exc = pack_table(*tables_[2], item, stride);
  }

  void pack_trees(const std::vector<float>& weight) {
    const int m = c_.gru_b;
    for (int tree = 0; tree < 17; ++tree) {
      float* to = arena_.allocate<float>(32 * size(m) + 64);
      for (int lane = 1; lane < 16; ++lane) {
        int level = 0;
        while ((2 << level) <= lane) ++level;
        const int base = tree == 0 ? 1 : 16 | (tree - 1);
        const int node = (base << level) | (lane - (1 << level));
        for (int channel = 0; channel < 2; ++channel) {
          const int row = channel * kLevels + node;
          for (int i = 0; i < m; ++i) {
            to[32 * i + 16 * channel + lane] = weight[size(row) * size(m) + size(i)];
          }
          to[32 * m + 16 * channel + lane] = dual_fc_bias_[row];
          to[32 * m + 32 + 16 * channel + lane] = dual_fc_factor_[row];
        }
      }
      w_.trees.push_back({m, to});
    }
  }

  void pack() override {
    float* pitch = arena_.allocate<float>(kLevels * size(c_.pitch_dims));
    widen(*embed_pitch_, pitch);
    w_.embed_pitch = pitch;
    w_.conv1 = pack_dense("conv1", conv1_);
    w_.conv2 = pack_dense("conv2", conv2_);
    w_.dense1 = pack_dense("dense1", dense1_.matrix, dense1_.bias);
    w_.dense2 = pack_dense("dense2", dense2_.matrix, dense2_.bias);
    w_.gru_a_cond = pack_linear("gru_a.cond", gru_a_cond_);
    w_.gru_b_cond = pack_linear("gru_b.cond", gru_b_cond_);
    pack_tables();
    gru_a_.rows = w_.tables.type;
    gru_a_.row_scale = w_.tables.scale;
    w_.gru_a = pack_gru("gru_a.weight_hh", gru_a_);
    w_.gru_b_input = pack_linear("gru_b.weight_ih", gru_b_input_);
    w_.gru_b = pack_gru("gru_b.weight_hh", gru_b_);
    std::vector<float> dual_fc(dual_fc_->elements);
    widen(*dual_fc_, dual_fc.data());
    if (c_.sampling == Sampling::kTree) {
      pack_trees(dual_fc);
      plan_.push_back({"dual_fc", "tree", "f32", "native", 2 * kLevels, c_.gru_b});
    } else {
      nn::LinearSource source;
      source.data = dual_fc.data();
      source.rows = 2 * kLevels;
      source.cols = c_.gru_b;
      w_.dual_fc = pack_dense("dual_fc", source, dual_fc_bias_);
      w_.dual_fc_factor = pack_floats(dual_fc_factor_, 2 * kLevels);
    }
  }

  const io::Tensor *embed_pitch_ = nullptr, *tables_[3] = {}, *dual_fc_ = nullptr;
  nn::ConvSource conv1_, conv2_;
  const float *dual_fc_bias_ = nullptr, *dual_fc_factor_ = nullptr;
  Dense dense1_, dense2_;
  nn::LinearSource gru_a_cond_, gru_b_cond_, gru_b_input_;
  nn::GruSource gru_a_, gru_b_;
};

}  // namespace

Status load_weights(const io::Gguf& file, const Config& config, const kernels::KernelTable& kernels,
                    Weights& weights) {
  return Loader(file, config, kernels, weights).run();
}

}  // namespace pyvoc::models::lpcnet
