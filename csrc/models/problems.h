// Collects what is wrong with a model file's metadata so that one message lists everything.
#ifndef PYVOC_MODELS_PROBLEMS_H_
#define PYVOC_MODELS_PROBLEMS_H_

#include <string>

#include "io/gguf.h"

namespace pyvoc::models {

class Problems {
 public:
  explicit Problems(const io::Gguf& file) : file_(file) {}

  template <typename T>
  bool take(const Result<T>& result, T& value) {
    if (!result.ok()) {
      add(result.status().message());
      return false;
    }
    value = result.value();
    return true;
  }

  void expect(const char* key, std::uint64_t wanted) {
    std::uint64_t found = 0;
    if (take(file_.get_uint(key), found) && found != wanted) {
      add(std::string(key) + " is " + std::to_string(found) + ", expected " +
          std::to_string(wanted));
    }
  }

  // An error when the file is of a newer revision than `known`; a missing one is a problem.
  Status check_revision(const std::string& model, std::uint64_t known) {
    std::uint64_t revision = 0;
    if (!take(file_.get_uint("pyvoc.spec_revision"), revision) || revision <= known) {
      return Status();
    }
    return Status(Code::kUnsupported, file_.name() + ": " + model + " spec revision " +
                                          std::to_string(revision) +
                                          " is newer than this build reads (" +
                                          std::to_string(known) + "); upgrade pyvoc");
  }

  // The size of one dimension of a tensor; 0 when the tensor is missing.
  int dimension(const char* tensor, std::size_t axis, std::size_t dims, std::size_t limit) {
    const io::Tensor* t = file_.find_tensor(tensor);
    if (t == nullptr) {
      add(std::string("tensor ") + tensor + " is missing");
      return 0;
    }
    if (t->shape.size() != dims || t->shape[axis] > limit) {
      add(std::string("tensor ") + tensor + " has an unexpected shape");
      return 0;
    }
    return static_cast<int>(t->shape[axis]);
  }

  void add(const std::string& text) { text_ += (text_.empty() ? "" : "; ") + text; }
  bool none() const { return text_.empty(); }
  Status status() const { return Status(Code::kModel, file_.name() + ": " + text_); }

 private:
  const io::Gguf& file_;
  std::string text_;
};

}  // namespace pyvoc::models
#endif  // PYVOC_MODELS_PROBLEMS_H_
