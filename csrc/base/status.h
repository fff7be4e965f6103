// Status: a code and a sentence; Result<T>: a value or a Status. Nothing in pyvoc throws across a
// layer.
#ifndef PYVOC_BASE_STATUS_H_
#define PYVOC_BASE_STATUS_H_

#include <cassert>
#include <optional>
#include <string>
#include <utility>

namespace pyvoc {

// The values are those of pyvoc_status in pyvoc.h (checked where the two meet, in api/).
enum class Code {
  kOk = 0,
  kArgument = 1,
  kModel = 2,
  kFeature = 3,
  kAudio = 4,
  kUnsupported = 5,
  kIo = 6,
  kMemory = 7,
  kBusy = 8,
  kFull = 9,
  kState = 10,
};

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  bool ok() const { return code_ == Code::kOk; }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }

 private:
  Code code_ = Code::kOk;
  std::string message_;
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}
  Result(Status status) : status_(std::move(status)) { assert(!status_.ok()); }

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }
  T& value() {
    assert(ok());
    return *value_;
  }
  const T& value() const {
    assert(ok());
    return *value_;
  }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace pyvoc
#endif  // PYVOC_BASE_STATUS_H_
