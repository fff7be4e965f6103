#include "base/file_bytes.h"

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

#ifdef _WIN32
constexpr std::size_t kAlignment = 64;
#endif
constexpr std::size_t kBeginning = 64;  // bytes of a file that is of another kind

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

// Of a file that is written over meanwhile this is a mixture, which is told by its times and length
// (as finely as the file system counts time).
bool same_file(const FileInfo& a, const FileInfo& b) {
#if defined(__linux__)
  if (a.st_mtim.tv_nsec != b.st_mtim.tv_nsec) return false;
#endif
  return a.st_size == b.st_size && a.st_mtime == b.st_mtime;
}

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

Result<std::unique_ptr<FileBytes>> FileBytes::open(const std::string& path, std::string_view magic,
                                                   std::uint64_t most) {
  if (path.empty()) return refuse("''", "is not a file name");
  if (path.find('\0') != std::string::npos) return refuse(path, "has a zero byte in its name");
  const int descriptor = open_file(path.c_str());
  if (descriptor < 0) return refuse(path, std::string("cannot be opened: ") + std::strerror(errno));
  std::unique_ptr<FileBytes> file(new FileBytes());
  const Status status = file->load(descriptor, path, magic, most);
  close_file(descriptor);
  if (!status.ok()) return status;
  return file;
}

Status FileBytes::load(int descriptor, const std::string& path, std::string_view magic,
                       std::uint64_t most) {
  FileInfo info;
  if (file_info(descriptor, &info) != 0) {
    return refuse(path, std::string("cannot be examined: ") + std::strerror(errno));
  }
  if (is_directory(info)) return refuse(path, "is a directory, a file is expected");
  if (!is_regular(info)) return refuse(path, "is not a regular file");
  const auto length = static_cast<std::uint64_t>(info.st_size);
  if (length == 0) return Status();

  std::byte head[kBeginning];
  const std::size_t known = length < kBeginning ? static_cast<std::size_t>(length) : kBeginning;
  if (Status s = read_all(descriptor, path, head, known); !s.ok()) return s;
  const bool expected = known >= magic.size() && std::memcmp(head, magic.data(), magic.size()) == 0;
  if (expected && length > most) {
    return refuse(path, "has " + std::to_string(length) + " bytes, at most " +
                            std::to_string(most) + " are read");
  }
  if (length > std::numeric_limits<std::size_t>::max() / 2) {
    return refuse(path, "is too large for this machine's address space");
  }
  size_ = expected ? static_cast<std::size_t>(length) : known;
  if (!allocate()) return Status(Code::kMemory, path + ": no memory to read it into");
  std::memcpy(data_, head, known);
  if (Status s = read_all(descriptor, path, data_ + known, size_ - known); !s.ok()) return s;
  FileInfo after;
  if (file_info(descriptor, &after) != 0 || !same_file(info, after)) {
    return refuse(path, "was written to while it was read");
  }
  return Status();
}

#ifdef _WIN32
bool FileBytes::allocate() {
  data_ =
      static_cast<std::byte*>(::operator new[](size_, std::align_val_t(kAlignment), std::nothrow));
  return data_ != nullptr;
}

void FileBytes::forget(const std::byte*, std::size_t) const {}

FileBytes::~FileBytes() {
  if (data_ != nullptr) ::operator delete[](data_, std::align_val_t(kAlignment));
}
#else
// Pages of its own, which can be given back one by one.
bool FileBytes::allocate() {
  void* memory = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return false;
  data_ = static_cast<std::byte*>(memory);
  return true;
}

void FileBytes::forget(const std::byte* first, std::size_t n) const {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const auto offset = static_cast<std::size_t>(first - data_);
  const std::size_t begin = (offset + page - 1) / page * page, end = (offset + n) / page * page;
  // It is only advice: where the system does not take it, the pages stay.
  if (begin < end) (void)::madvise(data_ + begin, end - begin, MADV_DONTNEED);
}

FileBytes::~FileBytes() {
  if (data_ != nullptr) ::munmap(data_, size_);
}
#endif

}  // namespace pyvoc
