// A whole file in memory, read only. It is read and not mapped: a mapped file that somebody cuts
// short ends the process (SIGBUS) when a byte beyond its new end is touched. Bytes start at a
// 64-byte boundary. Immutable after open, so any thread may read; not real-time.
#ifndef PYVOC_BASE_FILE_BYTES_H_
#define PYVOC_BASE_FILE_BYTES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"

namespace pyvoc {

class FileBytes {
 public:
  // kIo with the path and the system's reason; only regular files of at most `most` bytes are
  // accepted. An empty file opens. Of a file that does not start with `magic` no more is read than
  // its beginning.
  static Result<std::unique_ptr<FileBytes>> open(const std::string& path, std::string_view magic,
                                                 std::uint64_t most);
  ~FileBytes();
  FileBytes(const FileBytes&) = delete;
  FileBytes& operator=(const FileBytes&) = delete;

  const std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }

  // Gives back the memory of bytes that nobody reads again; whole pages of it, the rest stays.
  void forget(const std::byte* first, std::size_t n) const;

 private:
  FileBytes() = default;
  Status load(int descriptor, const std::string& path, std::string_view magic, std::uint64_t most);
  bool allocate();  // size_ bytes

  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace pyvoc
#endif  // PYVOC_BASE_FILE_BYTES_H_
