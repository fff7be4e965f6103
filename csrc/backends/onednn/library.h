// oneDNN's C API, found when it is first asked for, and owners of its objects. Every function may
// be called from any thread.
#ifndef PYVOC_BACKENDS_ONEDNN_LIBRARY_H_
#define PYVOC_BACKENDS_ONEDNN_LIBRARY_H_

#include <oneapi/dnnl/dnnl.h>

#include <memory>
#include <string>

namespace pyvoc::backends::dnnl {

#define PYVOC_DNNL_FUNCTIONS(F)         \
  F(engine_create)                      \
  F(matmul_primitive_desc_create)       \
  F(memory_create)                      \
  F(memory_desc_create_with_strides)    \
  F(memory_desc_create_with_tag)        \
  F(memory_desc_destroy)                \
  F(memory_desc_get_size)               \
  F(memory_destroy)                     \
  F(primitive_attr_create)              \
  F(primitive_attr_destroy)             \
  F(primitive_attr_set_fpmath_mode)     \
  F(primitive_attr_set_scratchpad_mode) \
  F(primitive_create)                   \
  F(primitive_desc_destroy)             \
  F(primitive_desc_query_md)            \
  F(primitive_destroy)                  \
  F(primitive_execute)                  \
  F(reorder_primitive_desc_create)      \
  F(stream_create)                      \
  F(stream_destroy)                     \
  F(stream_wait)

struct Library {
  std::string problem;  // why it cannot be used; empty when it can
  std::string about;    // version and file
#define PYVOC_DNNL_MEMBER(name) decltype(&::dnnl_##name) name = nullptr;
  PYVOC_DNNL_FUNCTIONS(PYVOC_DNNL_MEMBER)
#undef PYVOC_DNNL_MEMBER
  dnnl_engine_t engine = nullptr;  // the processor
  // Of the OpenMP runtime that the library was linked with; null when it has no threads.
  int (*omp_get_max_threads)() = nullptr;
  void (*omp_set_num_threads)(int) = nullptr;
};

// Loaded by the first call, for good. The environment variable PYVOC_ONEDNN_LIBRARY names the file;
// without it, the loader's own places and the environment that this code is installed in.
const Library& library();

// While it lives, what the calling thread has the library do is done by that thread alone: rows are
// shared by our own team.
class OneThread {
 public:
  OneThread();
  ~OneThread();
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_ = 1;
};

struct Destroy {
  void operator()(dnnl_memory_t p) const { library().memory_destroy(p); }
  void operator()(dnnl_memory_desc_t p) const { library().memory_desc_destroy(p); }
  void operator()(dnnl_primitive_t p) const { library().primitive_destroy(p); }
  void operator()(dnnl_primitive_attr_t p) const { library().primitive_attr_destroy(p); }
  void operator()(dnnl_primitive_desc_t p) const { library().primitive_desc_destroy(p); }
  void operator()(dnnl_stream_t p) const { library().stream_destroy(p); }
};
using Memory = std::unique_ptr<dnnl_memory, Destroy>;
using MemoryDesc = std::unique_ptr<dnnl_memory_desc, Destroy>;
using Primitive = std::unique_ptr<dnnl_primitive, Destroy>;
using PrimitiveAttr = std::unique_ptr<dnnl_primitive_attr, Destroy>;
using PrimitiveDesc = std::unique_ptr<dnnl_primitive_desc, Destroy>;
using Stream = std::unique_ptr<dnnl_stream, Destroy>;

// `create(pointer to the object, arguments ...)`; null when that fails.
template <typename Owner, typename Create, typename... Args>
Owner make(Create create, Args... args) {
  typename Owner::pointer object = nullptr;
  return Owner(create(&object, args...) == dnnl_success ? object : nullptr);
}

}  // namespace pyvoc::backends::dnnl
#endif  // PYVOC_BACKENDS_ONEDNN_LIBRARY_H_
