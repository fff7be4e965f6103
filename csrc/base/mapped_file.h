// A whole file as read-only memory: mapped where the system can, read into memory where it cannot.
// Bytes start at a 64-byte boundary. Immutable after open, so any thread may read; not real-time
// (the first touch of a mapped page may wait for the disk). The file must not shrink while mapped.
#ifndef PYVOC_BASE_MAPPED_FILE_H_
#define PYVOC_BASE_MAPPED_FILE_H_

#include <cstddef>
#include <memory>
#include <string>

#include "base/status.h"

namespace pyvoc {

class MappedFile {
 public:
  // kIo with the path and the system's reason; only regular files are accepted. An empty file
  // opens.
  static Result<std::unique_ptr<MappedFile>> open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }
  bool mapped() const { return mapped_; }

  // Gives back the memory of what was read of a mapped file; reading it again brings it back.
  void release() const;

 private:
  MappedFile() = default;
  Status load(int descriptor, const std::string& path);

  const std::byte* data_ = nullptr;
  std::byte* owned_ = nullptr;  // when read, not mapped
  std::size_t size_ = 0;
  bool mapped_ = false;
};

}  // namespace pyvoc
#endif  // PYVOC_BASE_MAPPED_FILE_H_
