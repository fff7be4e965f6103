// Large scratch arrays that outlive one training step: taken from a free list and given back, so
// that a step does not fault in fresh pages. Thread-safe; not real-time.
#ifndef PYVOC_TRAINING_WORKSPACE_H_
#define PYVOC_TRAINING_WORKSPACE_H_

#include <cstddef>
#include <vector>

namespace pyvoc::training {

// An array of floats with unspecified contents, given back by the destructor. 64-byte aligned.
class Workspace {
 public:
  Workspace() = default;
  explicit Workspace(std::size_t floats);
  ~Workspace();
  Workspace(Workspace&& other) noexcept { swap(other); }
  Workspace& operator=(Workspace&& other) noexcept {
    swap(other);
    return *this;
  }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  float* data() const { return aligned_; }
  float* zeroed();  // the whole array set to zero
  std::size_t size() const { return size_; }

 private:
  void swap(Workspace& other) noexcept;

  std::vector<float> storage_;
  float* aligned_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace pyvoc::training
#endif  // PYVOC_TRAINING_WORKSPACE_H_
