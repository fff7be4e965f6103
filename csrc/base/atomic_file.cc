#include "base/atomic_file.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>

#if defined(_WIN32)
#include <process.h>
#else
#include <unistd.h>
#endif

namespace pyvoc {
namespace {

std::string unique_suffix() {
  static std::atomic<unsigned> counter{0};
#if defined(_WIN32)
  const long process = _getpid();
#else
  const long process = static_cast<long>(getpid());
#endif
  return ".tmp-" + std::to_string(process) + "-" + std::to_string(counter++);
}

}  // namespace

AtomicFile::~AtomicFile() {
  if (file_ != nullptr) std::fclose(file_);
  if (!temporary_.empty()) std::remove(temporary_.c_str());
}

Status AtomicFile::failure(const char* action) const {
  return Status(Code::kIo, "cannot " + std::string(action) + " '" + path_ +
                               "': " + std::strerror(errno == 0 ? EIO : errno));
}

Status AtomicFile::open(const std::string& path) {
  path_ = path;
  std::error_code ignored;
  const auto type = std::filesystem::status(path, ignored).type();
  if (type == std::filesystem::file_type::directory) {
    return Status(Code::kIo, "cannot write '" + path + "': it is a directory");
  }
  const bool direct = type == std::filesystem::file_type::character ||
                      type == std::filesystem::file_type::fifo ||
                      type == std::filesystem::file_type::socket;
  const std::string target = direct ? path : path + unique_suffix();
  errno = 0;
  file_ = std::fopen(target.c_str(), "wb");
  if (file_ == nullptr) return failure("create");
  if (!direct) temporary_ = target;
  return Status();
}

Status AtomicFile::write(const void* data, std::size_t bytes) {
  errno = 0;
  if (std::fwrite(data, 1, bytes, file_) != bytes) return failure("write");
  return Status();
}

Status AtomicFile::finish() {
  if (file_ == nullptr) return Status();
  errno = 0;
  bool good = std::fflush(file_) == 0;
#if !defined(_WIN32)
  if (good && !temporary_.empty()) good = fsync(fileno(file_)) == 0;
#endif
  const int error = errno;
  good = std::fclose(file_) == 0 && good;
  file_ = nullptr;
  if (!good) {
    if (error != 0) errno = error;
    return failure("finish writing");
  }
  return Status();
}

Status AtomicFile::commit() {
  if (Status s = finish(); !s.ok()) return s;
  if (temporary_.empty()) return Status();
  std::error_code code;
  std::filesystem::rename(temporary_, path_, code);
  if (code) return Status(Code::kIo, "cannot replace '" + path_ + "': " + code.message());
  temporary_.clear();
  return Status();
}

}  // namespace pyvoc
