#include "backends/onednn/conv_plan.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>
#include <vector>

#include "backends/onednn/library.h"

namespace pyvoc::backends::dnnl {
namespace {

using kernels::ConvInput;
using kernels::ConvOutput;

constexpr int kLeastBlock = 16;

// Rows of a block: enough work for a call of the library, few enough that inputs and sums stay in
// the cache.
int block_rows(const ConvMatrix& matrix) {
  constexpr std::int64_t kWork = 4 << 20;  // multiply-adds
  int rows = kLeastBlock;
  while (rows < 256 && std::int64_t{2} * rows * matrix.rows * matrix.cols <= kWork) rows *= 2;
  return rows;
}

// Memory that grows, zeroed, aligned to cache lines.
class Buffer {
 public:
  void* at_least(std::size_t bytes) noexcept {
    if (bytes > bytes_) {
      data_.reset(::operator new(bytes, std::align_val_t{kCacheLine}, std::nothrow));
      bytes_ = data_ == nullptr ? 0 : bytes;
      if (data_ != nullptr) std::memset(data_.get(), 0, bytes);
    }
    return data_.get();
  }

 private:
  struct Free {
    void operator()(void* p) const { ::operator delete(p, std::align_val_t{kCacheLine}); }
  };
  static constexpr std::size_t kCacheLine = 64;
  std::unique_ptr<void, Free> data_;
  std::size_t bytes_ = 0;
};

// What a thread needs for any plan.
struct Workspace {
  Buffer inputs, sums, scratch;
  Stream stream = make<Stream>(library().stream_create, library().engine,
                               static_cast<unsigned>(dnnl_stream_default_flags));
};

Workspace& workspace() {
  thread_local Workspace own;
  return own;
}

MemoryDesc matrix_desc(std::int64_t rows, std::int64_t cols, dnnl_data_type_t type) {
  const dnnl_dims_t dims = {rows, cols}, strides = {cols, 1};
  return make<MemoryDesc>(library().memory_desc_create_with_strides, 2, dims, type, strides);
}

class MatmulPlan final : public ConvPlan {
 public:
  MatmulPlan(const ConvMatrix& matrix, const kernels::KernelTable& kernels)
      : kernels_(kernels),
        integer_(matrix.weights == Weights::kI8),
        rows_(matrix.rows),
        cols_(matrix.cols),
        block_(block_rows(matrix)) {}

  Status build(const ConvMatrix& matrix) {
    const OneThread alone;
    if (matrix.weights != Weights::kBf16) return build(matrix.data);
    // As float32: what the native kernels make of them while they multiply.
    std::vector<float> wide(static_cast<std::size_t>(rows_) * cols_);
    const auto* narrow = static_cast<const std::uint16_t*>(matrix.data);
    for (std::size_t i = 0; i < wide.size(); ++i) {
      const std::uint32_t bits = std::uint32_t{narrow[i]} << 16;
      std::memcpy(&wide[i], &bits, sizeof bits);
    }
    return build(wide.data());
  }

  bool compute(const ConvInput<float>& in, int rows,
               const ConvOutput& out) const noexcept override {
    return !integer_ && run(in, rows, out);
  }
  bool compute(const ConvInput<std::uint8_t>& in, int rows,
               const ConvOutput& out) const noexcept override {
    return integer_ && run(in, rows, out);
  }

 private:
  // A thread's memory, described for this plan.
  struct Job {
    Workspace& space;
    void* inputs;
    const float* sums;
    Memory inputs_memory, sums_memory, scratch_memory;
  };

  // On some processors the library sums the rows of a tile's remainder in another order: then with
  // lower blocks, which have no such rows.
  Status build(const void* data) {
    for (;; block_ /= 2) {
      const Status made = create(data) ? verify(data) : failed();
      if (made.ok() || block_ <= kLeastBlock) return made;
    }
  }

  Status failed() const {
    return Status(Code::kUnsupported, "oneDNN cannot multiply " + std::to_string(rows_) + " x " +
                                          std::to_string(cols_) + " " + (integer_ ? "i8" : "f32") +
                                          " on this processor");
  }

  // Matrices of the library are [inputs][outputs], in an order of its own.
  bool create(const void* data) {
    const Library& lib = library();
    const dnnl_data_type_t input = integer_ ? dnnl_u8 : dnnl_f32;
    const dnnl_data_type_t weight = integer_ ? dnnl_s8 : dnnl_f32;
    const dnnl_dims_t dims = {cols_, rows_}, strides = {1, cols_};
    inputs_ = matrix_desc(block_, cols_, input);
    sums_ = matrix_desc(block_, rows_, dnnl_f32);
    const MemoryDesc plain =
        make<MemoryDesc>(lib.memory_desc_create_with_strides, 2, dims, weight, strides);
    const MemoryDesc any =
        make<MemoryDesc>(lib.memory_desc_create_with_tag, 2, dims, weight, dnnl_format_tag_any);
    const PrimitiveAttr attr = make<PrimitiveAttr>(lib.primitive_attr_create);
    if (!inputs_ || !sums_ || !plain || !any || !attr) return false;
    lib.primitive_attr_set_scratchpad_mode(attr.get(), dnnl_scratchpad_mode_user);
    lib.primitive_attr_set_fpmath_mode(attr.get(), dnnl_fpmath_mode_strict);
    desc_ = make<PrimitiveDesc>(lib.matmul_primitive_desc_create, lib.engine, inputs_.get(),
                                any.get(), nullptr, sums_.get(), attr.get());
    if (!desc_) return false;
    scratch_ = lib.primitive_desc_query_md(desc_.get(), dnnl_query_scratchpad_md, 0);
    const_dnnl_memory_desc_t packed =
        lib.primitive_desc_query_md(desc_.get(), dnnl_query_weights_md, 0);
    product_ = make<Primitive>(lib.primitive_create, desc_.get());
    weights_ = make<Memory>(lib.memory_create, packed, lib.engine, DNNL_MEMORY_ALLOCATE);
    return product_ && weights_ && reorder(plain.get(), packed, data);
  }

  bool reorder(const_dnnl_memory_desc_t from, const_dnnl_memory_desc_t to, const void* data) {
    const Library& lib = library();
    const PrimitiveDesc desc = make<PrimitiveDesc>(lib.reorder_primitive_desc_create, from,
                                                   lib.engine, to, lib.engine, nullptr);
    const Memory source =
        make<Memory>(lib.memory_create, from, lib.engine, const_cast<void*>(data));
    if (!desc || !source) return false;
    const Primitive copy = make<Primitive>(lib.primitive_create, desc.get());
    const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, source.get()},
                                         {DNNL_ARG_TO, weights_.get()}};
    dnnl_stream_t stream = workspace().stream.get();
    return copy && stream != nullptr &&
           lib.primitive_execute(copy.get(), stream, 2, arguments) == dnnl_success &&
           lib.stream_wait(stream) == dnnl_success;
  }

  Job begin() const noexcept {
    const Library& lib = library();
    Workspace& space = workspace();
    void* inputs = space.inputs.at_least(lib.memory_desc_get_size(inputs_.get()));
    void* sums = space.sums.at_least(lib.memory_desc_get_size(sums_.get()));
    void* scratch = space.scratch.at_least(lib.memory_desc_get_size(scratch_) + 1);
    Job job{space, inputs, static_cast<const float*>(sums), {}, {}, {}};
    if (inputs == nullptr || sums == nullptr || scratch == nullptr || !space.stream) return job;
    job.inputs_memory = make<Memory>(lib.memory_create, inputs_.get(), lib.engine, inputs);
    job.sums_memory = make<Memory>(lib.memory_create, sums_.get(), lib.engine, sums);
    job.scratch_memory = make<Memory>(lib.memory_create, scratch_, lib.engine, scratch);
    return job;
  }

  // `count` <= block_ rows from `row` on become the first of the block's sums.
  template <typename X>
  bool multiply(const ConvInput<X>& in, std::int64_t row, int count,
                const Job& job) const noexcept {
    const Library& lib = library();
    if (!job.inputs_memory || !job.sums_memory || !job.scratch_memory) return false;
    X* to = static_cast<X*>(job.inputs);
    for (std::int64_t r = row; r < row + count; ++r) {
      for (int s = 0; s < in.segments; ++s) {
        const std::size_t n = static_cast<std::size_t>(in.cols[s]);
        std::memcpy(to, in.base[s] + r * in.stride[s], n * sizeof(X));
        to += n;
      }
    }
    const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_SRC, job.inputs_memory.get()},
                                         {DNNL_ARG_WEIGHTS, weights_.get()},
                                         {DNNL_ARG_DST, job.sums_memory.get()},
                                         {DNNL_ARG_SCRATCHPAD, job.scratch_memory.get()}};
    dnnl_stream_t stream = job.space.stream.get();
    return lib.primitive_execute(product_.get(), stream, 4, arguments) == dnnl_success &&
           lib.stream_wait(stream) == dnnl_success;
  }

  template <typename X>
  bool run(const ConvInput<X>& in, int rows, ConvOutput out) const noexcept {
    const OneThread alone;
    const Job job = begin();
    if (!integer_) out.scale = nullptr;
    for (int row = 0; row < rows; row += block_) {
      const int count = std::min(block_, rows - row);
      if (!multiply(in, row, count, job)) return false;
      kernels_.conv_finish_f32(job.sums, rows_ / 16, count, out);
      out = kernels::advanced(out, count * out.stride);
    }
    return true;
  }

  Status verify(const void* weights) const {
    if (integer_) {
      return verify<std::uint8_t>(static_cast<const std::int8_t*>(weights));
    }
    return verify<float>(static_cast<const float*>(weights));
  }

  // One row at every place of the block.
  template <typename X, typename T>
  Status verify(const T* weights) const {
    std::vector<X> x(static_cast<std::size_t>(cols_));
    std::uint32_t state = 1;
    for (X& value : x) {
      state = state * 1664525u + 1013904223u;  // Numerical Recipes
      const std::uint32_t draw = state >> 16;
      if constexpr (sizeof(X) == 1) {
        value = static_cast<X>(draw % 4 == 0 ? 254 : draw / 4 % 255);
      } else {
        value = static_cast<X>(draw) / 32768.0f - 1.0f;
      }
    }
    ConvInput<X> in;
    in.segments = 1;
    in.base[0] = x.data();
    in.cols[0] = cols_;
    const Job job = begin();
    if (!multiply(in, 0, block_, job)) return failed();
    for (int o = 0; o < rows_; ++o) {
      double sum = 0.0, magnitude = 0.0;
      for (int c = 0; c < cols_; ++c) {
        const double term = static_cast<double>(weights[static_cast<std::int64_t>(o) * cols_ + c]) *
                            static_cast<double>(x[c]);
        sum += term;
        magnitude += std::fabs(term);
      }
      const float found = job.sums[o];
      const bool right = integer_ ? found == static_cast<float>(sum)
                                  : std::fabs(double{found} - sum) <=
                                        (2.0 * cols_ + 8.0) * 0x1p-24 * magnitude + 1e-37;
      if (!right) return wrong("gives wrong sums");
    }
    const std::size_t row = sizeof(float) * static_cast<std::size_t>(rows_);
    for (int r = 1; r < block_; ++r) {
      if (std::memcmp(job.sums + static_cast<std::size_t>(r) * rows_, job.sums, row) != 0) {
        return wrong("gives sums that depend on a row's place");
      }
    }
    return {};
  }

  Status wrong(const char* how) const {
    return Status(Code::kUnsupported, library().about + " " + how + " for a layer of " +
                                          std::to_string(rows_) + " x " + std::to_string(cols_) +
                                          (integer_ ? " i8" : " f32"));
  }

  const kernels::KernelTable& kernels_;
  const bool integer_;
  const int rows_, cols_;
  int block_;
  MemoryDesc inputs_, sums_;
  PrimitiveDesc desc_;
  const_dnnl_memory_desc_t scratch_ = nullptr;  // desc_'s
  Primitive product_;
  Memory weights_;
};

}  // namespace

Result<std::shared_ptr<const ConvPlan>> make_conv_plan(const ConvMatrix& matrix,
                                                       const kernels::KernelTable& kernels) {
  const auto plan = std::make_shared<MatmulPlan>(matrix, kernels);
  const Status built = plan->build(matrix);
  if (!built.ok()) return built;
  return std::shared_ptr<const ConvPlan>(plan);
}

}  // namespace pyvoc::backends::dnnl
