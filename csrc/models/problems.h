// Reads a model file's metadata and collects what is wrong with it, so that one message lists
// everything.
#ifndef PYVOC_MODELS_PROBLEMS_H_
#define PYVOC_MODELS_PROBLEMS_H_

#include <string>

#include "io/gguf.h"

namespace pyvoc::models {

class Problems {
 public:
  explicit Problems(const io::Gguf& file) : file_(file) {}

  // The value of an entry. Where it is missing, of another type or outside what is expected, that
  // is a problem, and the value is 0, false or empty.
  int integer(const char* key, int least, int most);
  float number(const char* key, double least, double most);
  // `absent` where the file has no such entry.
  float number_or(float absent, const char* key, double least, double most) {
    return file_.find(key) == nullptr ? absent : number(key, least, most);
  }
  bool flag(const char* key);
  std::string text(const char* key);

  // The place of the entry's text among `names`.
  template <std::size_t n>
  int choice(const char* key, const char* const (&names)[n]) {
    return choose(key, names, n);
  }

  // What the file says of itself: f32, bf16 or int8.
  std::string precision();

  void expect(const char* key, int wanted) { integer(key, wanted, wanted); }

  // An error when the file is of a newer revision than `known`; a missing one is a problem.
  Status check_revision(const std::string& model, std::uint64_t known);

  // The size of one dimension of a tensor; 0 when the tensor is missing.
  int dimension(const std::string& tensor, std::size_t axis, std::size_t dims, std::size_t limit);

  void add(const std::string& text) {
    if (!text.empty()) text_ += (text_.empty() ? "" : "; ") + text;
  }
  bool none() const { return text_.empty(); }
  // `about`: what has the problems, where that is not the file as a whole.
  Status status(const std::string& about = "") const {
    return Status(Code::kModel, file_.name() + ": " + about + text_);
  }

 private:
  template <typename T>
  bool take(const Result<T>& result, T& value) {
    if (result.ok()) {
      value = result.value();
    } else {
      add(result.status().message());
    }
    return result.ok();
  }
  int choose(const char* key, const char* const* names, std::size_t n);
  void add_range(const char* key, const std::string& found, const std::string& least,
                 const std::string& most);

  const io::Gguf& file_;
  std::string text_;
};

}  // namespace pyvoc::models
#endif  // PYVOC_MODELS_PROBLEMS_H_
