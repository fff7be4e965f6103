#include "models/lpcnet/weights.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "models/weight_loader.h"

namespace pyvoc::models::lpcnet {
namespace {

using io::TensorType;
using Shape = std::vector<std::size_t>;

constexpr const char* kTables[3] = {"gru_a.embed_sig", "gru_a.embed_pred", "gru_a.embed_exc"};
constexpr int kTableLimit = 10922;  // three rows add up in 16 bits
constexpr int kMostShift = 6;       // of int8 tables: 127 * 2^6 is within that

class Loader final : public LoaderOf<Config, Weights> {
 public:
  using LoaderOf::LoaderOf;

 private:
  struct Dense {
    nn::LinearSource matrix;
    const float* bias = nullptr;
  };

  Dense dense(const std::string& name, int rows, int cols) {
    return {tensors_.matrix(name + ".weight", rows, cols, 1, false),
            tensors_.f32(name + ".bias", {size(rows)})};
  }

  void gather() override {
    const Shape a3 = {size(3 * c_.gru_a)}, b3 = {size(3 * c_.gru_b)};
    embed_pitch_ = tensors_.any("embed_pitch.weight", {kLevels, size(c_.pitch_dims)}, kFloats);
    conv1_ = conv("conv1", c_.cond, c_.feature_dims + c_.pitch_dims, c_.conv1_kernel, kFloats);
    conv2_ = conv("conv2", c_.cond, c_.cond, c_.conv2_kernel, kFloats);
    dense1_ = dense("dense1", c_.cond, c_.cond);
    dense2_ = dense("dense2", c_.cond, c_.cond);
    gather_tables();
    gru_a_cond_ = tensors_.matrix("gru_a.cond.weight", 3 * c_.gru_a, c_.cond, 3, false);
    gru_a_.recurrent =
        tensors_.matrix("gru_a.weight_hh", 3 * c_.gru_a, c_.gru_a, 3, true, Scales::kBf16);
    gru_a_.diag = tensors_.optional_f32("gru_a.diag", a3);
    gru_a_.bias_ih = tensors_.f32("gru_a.bias_ih", a3);
    gru_a_.bias_hh = tensors_.f32("gru_a.bias_hh", a3);
    gru_b_input_ =
        tensors_.matrix("gru_b.weight_ih", 3 * c_.gru_b, c_.gru_a, 3, true, Scales::kBf16);
    gru_b_cond_ = tensors_.matrix("gru_b.cond.weight", 3 * c_.gru_b, c_.cond, 3, false);
    gru_b_.recurrent =
        tensors_.matrix("gru_b.weight_hh", 3 * c_.gru_b, c_.gru_b, 3, false, Scales::kBf16);
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
    const bool integers = tables_[0] != nullptr && (tables_[0]->type == TensorType::kI16 ||
                                                    tables_[0]->type == TensorType::kI8);
    if (a_int8 != (c_.precision == "int8") || integers != a_int8) {
      tensors_.problem("gru_a.weight_hh or gru_a.embed_sig is of another precision than " +
                       c_.precision);
    }
    if (gru_b_input_.block_rows == 16) {
      tensors_.problem("gru_b.weight_ih has 16 x 1 blocks, expected dense or 8 x 4");
    }
  }

  // One scale for int16; for int8 one for each column, the least of all times a power of two.
  void gather_tables() {
    const std::size_t columns = size(3 * c_.gru_a);
    for (int i = 0; i < 3; ++i) {
      const std::string name = kTables[i];
      const io::Tensor* table =
          tensors_.any(name, {kLevels, columns},
                       {TensorType::kF32, TensorType::kBf16, TensorType::kI16, TensorType::kI8});
      tables_[i] = table;
      if (table == nullptr || tables_[0] == nullptr) continue;
      if (table->type != tables_[0]->type) {
        tensors_.problem("the three gru_a.embed_* tables are not of one type");
      }
      const bool bytes = table->type == TensorType::kI8;
      if (!bytes && table->type != TensorType::kI16) continue;
      steps_[i] = tensors_.scales(name + ".scale", bytes ? columns : 1, Scales::kBf16);
      if (bytes ? has<std::int8_t>(*table, 127) : has<std::int16_t>(*table, kTableLimit)) continue;
      tensors_.problem("tensor " + name + " has values beyond +-" +
                       std::to_string(bytes ? 127 : kTableLimit));
    }
    gather_steps();
  }

  template <typename Integer>
  static bool has(const io::Tensor& table, int most) {
    const auto* q = reinterpret_cast<const Integer*>(table.data);
    return std::all_of(q, q + table.elements, [=](int x) { return x >= -most && x <= most; });
  }

  void gather_steps() {
    for (int i = 0; i < 3; ++i) {
      if (steps_[i] == nullptr || tables_[i]->type != tables_[0]->type) return;
    }
    const bool bytes = tables_[0]->type == TensorType::kI8;
    const std::size_t n = bytes ? size(3 * c_.gru_a) : 1;
    float least = *steps_[0];
    for (const float* steps : steps_) least = std::min(least, *std::min_element(steps, steps + n));
    w_.tables.scale = least;
    for (const float* steps : steps_) {
      for (std::size_t k = 0; k < n; ++k) {
        const int shift = shift_of(steps[k], least);
        if (bytes ? shift >= 0 : shift == 0) continue;
        tensors_.problem(bytes ? "the scales of the three gru_a.embed_* tables are not the "
                                 "least times a power of two up to 64"
                               : "the scales of the three gru_a.embed_* tables differ");
        return;
      }
    }
  }

  // The n of step = least * 2^n, -1 where there is none.
  static int shift_of(float step, float least) {
    for (int shift = 0; shift <= kMostShift; ++shift) {
      if (step == std::ldexp(least, shift)) return shift;
    }
    return -1;
  }

  // As int16, whose sums have the least scale.
  void widen_table(const io::Tensor& t, const float* steps, std::int16_t* to) const {
    const auto* from = reinterpret_cast<const std::int8_t*>(t.data);
    const std::size_t columns = t.elements / kLevels;
    for (std::size_t k = 0; k < columns; ++k) {
      const int factor = 1 << shift_of(steps[k], w_.tables.scale);
      for (std::size_t at = k; at < t.elements; at += columns) {
        to[at] = static_cast<std::int16_t>(from[at] * factor);
      }
    }
  }

  const std::byte* pack_table(int table, std::size_t item, int stride) {
    const io::Tensor& t = *tables_[table];
    const std::byte* from = t.data;
    std::vector<std::int16_t> wide;
    if (t.type == TensorType::kI8) {
      wide.resize(t.elements);
      widen_table(t, steps_[table], wide.data());
      from = reinterpret_cast<const std::byte*>(wide.data());
    }
    std::byte* to = arena_.allocate<std::byte>(kLevels * 3 * size(stride) * item);
    const std::size_t n = size(c_.gru_a) * item, padded = size(stride) * item;
    for (std::size_t part = 0; part < 3 * kLevels; ++part) {
      std::memcpy(to + part * padded, from + part * n, n);
    }
    return to;
  }

  void pack_tables() {
    const TensorType type = tables_[0]->type;
    const std::size_t item = type == TensorType::kI8 ? sizeof(std::int16_t) : io::type_size(type);
    const int stride = nn::padded(c_.gru_a);
    w_.tables.type = type == TensorType::kF32    ? nn::RowType::kF32
                     : type == TensorType::kBf16 ? nn::RowType::kBf16
                                                 : nn::RowType::kI16;
    w_.tables.row_bytes = 3 * size(stride) * item;
    w_.tables.sig = pack_table(0, item, stride);
    w_.tables.pred = pack_table(1, item, stride);
    w_.tables.exc = pack_table(2, item, stride);
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
  const float* steps_[3] = {};  // of integer tables
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
