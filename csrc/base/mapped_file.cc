#include "base/mapped_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#ifdef _WIN32
#include <io.h>
#else
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace pyvoc {
namespace {

constexpr std::size_t kAlignment = 64;

Status refuse(const std::string& path, const std::string& reason) {
  return Status(Code::kIo, path + ": " + reason);
}

#ifdef _WIN32
int open_file(const char* path) { return _open(path, _O_RDONLY | _O_BINARY); }
int close_file(int descriptor) { return _close(descriptor); }
int read_some(int descriptor, void* to, std::size_t n) {
  return _read(descriptor, to, static_cast<unsigned>(n));
}
using FileInfo = struct _stat64;
int file_info(int descriptor, FileInfo* info) { return _fstat64(descriptor, info); }
bool is_directory(const FileInfo& info) { return (info.st_mode & _S_IFMT) == _S_IFDIR; }
bool is_regular(const FileInfo& info) { return (info.st_mode & _S_IFMT) == _S_IFREG; }
#else
// Without O_NONBLOCK, opening a named pipe would wait for a writer.
int open_file(const char* path) { return ::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); }
int close_file(int descriptor) { return ::close(descriptor); }
ssize_t read_some(int descriptor, void* to, std::size_t n) { return ::read(descriptor, to, n); }
using FileInfo = struct stat;
int file_info(int descriptor, FileInfo* info) { return ::fstat(descriptor, info); }
bool is_directory(const FileInfo& info) { return S_ISDIR(info.st_mode); }
bool is_regular(const FileInfo& info) { return S_ISREG(info.st_mode); }
#endif

// A short read means that the file shrank meanwhile.
Status read_all(int descriptor, const std::string& path, std::byte* to, std::size_t size) {
  constexpr std::size_t kChunk = std::size_t{1} << 30;
  for (std::size_t done = 0; done < size;) {
    const std::size_t want = size - done < kChunk ? size - done : kChunk;
    const auto got = read_some(descriptor, to + done, want);
    if (got < 0) {
      if (errno == EINTR) continue;
      return refuse(path, std::string("cannot be read: ") + std::strerror(errno));
    }
    if (got == 0) return refuse(path, "became shorter while it was read");
    done += static_cast<std::size_t>(got);
  }
  return Status();
}

}  // namespace

Result<std::unique_ptr<MappedFile>> MappedFile::open(const std::string& path) {
  if (path.empty()) return refuse("''", "is not a file name");
  if (path.find('\0') != std::string::npos) return refuse(path, "has a zero byte in its name");
  const int descriptor = open_file(path.c_str());
  if (descriptor < 0) return refuse(path, std::string("cannot be opened: ") + std::strerror(errno));
  std::unique_ptr<MappedFile> file(new MappedFile());
  const Status status = file->load(descriptor, path);
  close_file(descriptor);
  if (!status.ok()) return status;
  return file;
}

Status MappedFile::load(int descriptor, const std::string& path) {
  FileInfo info;
  if (file_info(descriptor, &info) != 0) {
    return refuse(path, std::string("cannot be examined: ") + std::strerror(errno));
  }
  if (is_directory(info)) return refuse(path, "is a directory, a file is expected");
  if (!is_regular(info)) return refuse(path, "is not a regular file");
  if (static_cast<std::uint64_t>(info.st_size) > std::numeric_limits<std::size_t>::max() / 2) {
    return refuse(path, "is too large for this machine's address space");
  }
  size_ = static_cast<std::size_t>(info.st_size);
  if (size_ == 0) return Status();
#ifndef _WIN32
  void* memory = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
  if (memory != MAP_FAILED) {
    data_ = static_cast<const std::byte*>(memory);
    mapped_ = true;
    return Status();
  }
#endif
  owned_ =
      static_cast<std::byte*>(::operator new[](size_, std::align_val_t(kAlignment), std::nothrow));
  if (owned_ == nullptr) return Status(Code::kMemory, path + ": no memory to read it into");
  data_ = owned_;
  return read_all(descriptor, path, owned_, size_);
}

void MappedFile::release() const {
#ifndef _WIN32
  // It is only advice: where the system does not take it, the pages stay.
  if (mapped_) (void)::madvise(const_cast<std::byte*>(data_), size_, MADV_DONTNEED);
#endif
}

MappedFile::~MappedFile() {
#ifndef _WIN32
  if (mapped_) ::munmap(const_cast<std::byte*>(data_), size_);
#endif
  if (owned_ != nullptr) ::operator delete[](owned_, std::align_val_t(kAlignment));
}

}  // namespace pyvoc
