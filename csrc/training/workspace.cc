#include "training/workspace.h"

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <utility>

namespace pyvoc::training {
namespace {

constexpr std::size_t kPad = 16;        // floats in 64 bytes
constexpr std::size_t kMostFree = 256;  // arrays kept for later

std::mutex guard;
std::vector<std::vector<float>>& free_list() {
  static auto* list = new std::vector<std::vector<float>>;  // outlives static destructors
  return *list;
}

}  // namespace

Workspace::Workspace(std::size_t floats) : size_(floats) {
  const std::size_t wanted = floats + kPad;
  {
    const std::lock_guard<std::mutex> lock(guard);
    auto& list = free_list();
    // The smallest that fits and is not more than twice too large.
    auto best = list.end();
    for (auto it = list.begin(); it != list.end(); ++it) {
      if (it->size() < wanted || it->size() > 2 * wanted) continue;
      if (best == list.end() || it->size() < best->size()) best = it;
    }
    if (best != list.end()) {
      storage_ = std::move(*best);
      list.erase(best);
    }
  }
  if (storage_.empty()) storage_.resize(wanted);
  const auto address = reinterpret_cast<std::uintptr_t>(storage_.data());
  aligned_ = storage_.data() + (64 - address % 64) % 64 / sizeof(float);
}

Workspace::~Workspace() {
  if (storage_.empty()) return;
  const std::lock_guard<std::mutex> lock(guard);
  auto& list = free_list();
  if (list.size() == kMostFree) list.erase(list.begin());
  try {
    list.push_back(std::move(storage_));
  } catch (...) {  // no room for the list entry: the array is freed instead
  }
}

float* Workspace::zeroed() {
  std::fill(aligned_, aligned_ + size_, 0.0f);
  return aligned_;
}

void Workspace::swap(Workspace& other) noexcept {
  storage_.swap(other.storage_);
  std::swap(aligned_, other.aligned_);
  std::swap(size_, other.size_);
}

}  // namespace pyvoc::training
