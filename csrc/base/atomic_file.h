// AtomicFile: an output file that appears complete or not at all.
//
// Bytes go to a temporary file beside the target; finish() makes them durable, commit() does that
// where it was not done and renames it. Files that belong together are all finished before the
// first is committed, so that a full disk leaves none. Without commit() the temporary file is
// removed and the target stays as it was. A symbolic link stays one, what it points to is replaced;
// the mode of what was there is kept. A target that is a device or a pipe is written directly.
// One thread at a time; not real-time safe.
#ifndef PYVOC_BASE_ATOMIC_FILE_H_
#define PYVOC_BASE_ATOMIC_FILE_H_

#include <cstddef>
#include <cstdio>
#include <string>

#include "base/status.h"

namespace pyvoc {

class AtomicFile {
 public:
  AtomicFile() = default;
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  Status open(const std::string& path);
  Status write(const void* data, std::size_t bytes);
  Status finish();
  Status commit();

 private:
  Status failure(const char* action) const;

  // As it was given, for messages; the file that it stands for; empty when that is written
  // directly.
  std::string path_, target_, temporary_;
  std::FILE* file_ = nullptr;
};

}  // namespace pyvoc
#endif  // PYVOC_BASE_ATOMIC_FILE_H_
