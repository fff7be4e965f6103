#include "base/atomic_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <random>

#if !defined(_WIN32)
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

namespace pyvoc {
namespace {

namespace fs = std::filesystem;

constexpr int kMostLinks = 40;
constexpr std::size_t kNameBytes = 28;  // of the target's name that the temporary file's name has

// Beside the target. pyvoc/files/atomic.py knows such names and sweeps those that were left behind.
std::string temporary_name(const std::string& target) {
  std::random_device random;
  char digits[13];
  std::snprintf(digits, sizeof digits, "%08x%04x", static_cast<unsigned>(random()),
                static_cast<unsigned>(random() & 0xffff));
  const fs::path path(target);
  const std::string name = path.filename().string().substr(0, kNameBytes);
  return (path.parent_path() / (name + ".tmp-pyvoc-" + digits)).string();
}

// The file that a name stands for: links are followed, to files that are not there yet too.
std::string resolve(const std::string& name) {
  std::error_code error;
  fs::path path(name);
  for (int i = 0; i < kMostLinks && fs::is_symlink(fs::symlink_status(path, error)); ++i) {
    const fs::path to = fs::read_symlink(path, error);
    if (error) break;
    path = to.is_absolute() ? to : path.parent_path() / to;
  }
  return path.string();
}

// A new file for writing, which is held while it is open: the sweep takes none that is.
std::FILE* create(const std::string& path) {
#if defined(_WIN32)
  return std::fopen(path.c_str(), "wb");
#else
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor < 0) return nullptr;
  (void)::flock(descriptor, LOCK_EX | LOCK_NB);
  return ::fdopen(descriptor, "wb");
#endif
}

// The new file gets the mode of the one that it replaces.
void keep_mode(const std::string& from, const std::string& to) {
#if !defined(_WIN32)
  struct stat info;
  if (::stat(from.c_str(), &info) == 0) (void)::chmod(to.c_str(), info.st_mode & 07777);
#endif
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
  const auto type = fs::status(path, ignored).type();
  if (type == fs::file_type::directory) {
    return Status(Code::kIo, "cannot write '" + path + "': it is a directory");
  }
  const bool direct = type == fs::file_type::character || type == fs::file_type::fifo ||
                      type == fs::file_type::socket;
  errno = 0;
  if (direct) {
    file_ = std::fopen(path.c_str(), "wb");
  } else {
    target_ = resolve(path);
    const std::string name = temporary_name(target_);
    file_ = create(name);
    if (file_ != nullptr) temporary_ = name;
  }
  return file_ == nullptr ? failure("create") : Status();
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
  keep_mode(target_, temporary_);
  fs::rename(temporary_, target_, code);
  if (code) return Status(Code::kIo, "cannot replace '" + path_ + "': " + code.message());
  temporary_.clear();
  return Status();
}

}  // namespace pyvoc
