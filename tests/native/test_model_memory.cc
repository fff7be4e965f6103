// Models from memory, over the C ABI: any alignment, and the memory may go after the call.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "pyvoc/pyvoc.hpp"

namespace {

std::vector<std::string> models() {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(PYVOC_TEST_DATA)) {
    if (entry.path().extension() == ".gguf") found.push_back(entry.path().string());
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<char> contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// What the model says of some frames.
std::vector<float> speak(const pyvoc::Model& model) {
  constexpr std::size_t kFrames = 6;
  const pyvoc_model_info info = model.info();
  std::vector<float> frames(kFrames * info.feature_dims);
  for (std::size_t i = 0; i < frames.size(); ++i) {
    frames[i] = 0.3f * std::sin(0.7f * static_cast<float>(i));
  }
  pyvoc::Stream stream(model, 7);
  stream.push(frames.data(), kFrames, info.feature_dims);
  stream.flush();
  std::vector<float> samples(kFrames * info.hop_length);
  samples.resize(stream.pull(samples.data(), samples.size()));
  return samples;
}

TEST(ModelMemory, IsNotNeededAfterLoading) {
  ASSERT_GE(models().size(), 20u);
  for (const std::string& path : models()) {
    SCOPED_TRACE(path);
    const std::vector<float> wanted = speak(pyvoc::Model(path));
    ASSERT_FALSE(wanted.empty());
    const std::vector<char> file = contents(path);
    for (const std::size_t shift : {0, 1, 4, 8}) {
      std::vector<char> memory(file.size() + shift);
      std::copy(file.begin(), file.end(), memory.begin() + static_cast<std::ptrdiff_t>(shift));
      const pyvoc::Model model = pyvoc::Model::from_memory(memory.data() + shift, file.size());
      std::fill(memory.begin(), memory.end(), '\xff');
      const std::vector<float> found = speak(model);
      ASSERT_TRUE(found == wanted) << "shift " << shift;
    }
  }
}

}  // namespace
