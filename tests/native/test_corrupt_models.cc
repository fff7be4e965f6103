// Damaged model files: thousands of deterministic mutations of sound ones. Whatever happens to the
// bytes, the reader answers with a Status or with a file whose every tensor lies within its bytes,
// and the runtime refuses the model or runs it to the end with finite samples.
// The mutations matter most under -DPYVOC_SANITIZE=address,undefined.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "gguf_builder.h"
#include "io/gguf.h"
#include "pyvoc/pyvoc.h"

namespace pyvoc::io {
namespace {

constexpr int kMutations = 2000;        // of every model, through the reader
constexpr int kRunMutations = 300;      // of every model, through the whole runtime
constexpr float kLoudestFlow = 100.0f;  // nothing in a flow bounds a sample: the runtime does
const char* const kModels[] = {"tree_sparse.int8.gguf", "end_to_end.bf16.gguf"};
const char* const kRunModels[] = {
    "fargan/even.f32.gguf",         "fargan/odd.int8.gguf",     "tree_sparse.f32.gguf",
    "tree_sparse.int8.gguf",        "softmax_dense.int8.gguf",  "softmax_sparse.f32.gguf",
    "end_to_end.bf16.gguf",         "hifigan/odd.f32.gguf",     "hifigan/paired.bf16.gguf",
    "melgan/odd.f32.gguf",          "melgan/zero.bf16.gguf",    "wavernn/mol.f32.gguf",
    "wavernn/odd.int8.gguf",        "wavernn/sparse.int8.gguf", "waveglow/plain.f32.gguf",
    "waveglow/alternate.bf16.gguf", "waveglow/apart.bf16.gguf", "tree_bytes.int8.gguf"};

std::string read_model(const std::string& name) {
  std::ifstream file(std::string(PYVOC_TEST_DATA) + "/" + name, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

class Mutator {
 public:
  // One position in `data_share` is in the data, the others are in the header.
  Mutator(const std::string& sound, std::size_t header, std::uint32_t data_share,
          std::uint32_t seed)
      : sound_(sound), header_(header), data_share_(data_share), random_(seed) {}

  std::string mutate() {
    std::string bytes = sound_;
    const std::uint32_t count = 1 + below(3);
    for (std::uint32_t i = 0; i < count; ++i) one(&bytes);
    return bytes;
  }

 private:
  std::uint32_t below(std::size_t n) { return static_cast<std::uint32_t>(random_() % n); }

  std::size_t position(const std::string& bytes) {
    const std::size_t limit =
        below(data_share_) == 0 ? bytes.size() : std::min(header_, bytes.size());
    return limit == 0 ? 0 : below(limit);
  }

  template <typename T>
  void overwrite(std::string* bytes, T value) {
    const std::size_t at = position(*bytes);
    if (bytes->size() - at >= sizeof(T)) bytes->replace(at, sizeof(T), as_text(value));
  }

  template <typename T>
  static std::string as_text(T value) {
    return std::string(reinterpret_cast<const char*>(&value), sizeof(T));
  }

  void one(std::string* bytes) {
    static constexpr std::uint64_t kSizes[] = {0,
                                               1,
                                               3,
                                               63,
                                               64,
                                               65,
                                               0x7fffffff,
                                               0x80000000,
                                               0xffffffff,
                                               std::uint64_t{1} << 32,
                                               std::uint64_t{1} << 62,
                                               ~std::uint64_t{0} >> 1,
                                               ~std::uint64_t{0} - 31,
                                               ~std::uint64_t{0}};
    static constexpr float kFloats[] = {0.0f,
                                        -1.0f,
                                        1e30f,
                                        -3e38f,
                                        1e-40f,
                                        std::numeric_limits<float>::infinity(),
                                        std::numeric_limits<float>::quiet_NaN()};
    if (bytes->empty()) return;
    switch (below(8)) {
      case 0:
        (*bytes)[position(*bytes)] ^= static_cast<char>(1u << below(8));
        break;
      case 1:
        (*bytes)[position(*bytes)] = static_cast<char>(below(256));
        break;
      case 2:
        overwrite(bytes, kSizes[below(std::size(kSizes))]);
        break;
      case 3:
        overwrite(bytes, static_cast<std::uint32_t>(kSizes[below(std::size(kSizes))]));
        break;
      case 4:
        bytes->resize(position(*bytes));
        break;
      case 5:
        bytes->erase(position(*bytes), 1 + below(16));
        break;
      case 6:
        overwrite(bytes, kFloats[below(std::size(kFloats))]);
        break;
      default: {
        const std::string piece = bytes->substr(position(*bytes), 1 + below(64));
        bytes->insert(position(*bytes), piece);
      }
    }
  }

  const std::string& sound_;
  std::size_t header_;
  std::uint32_t data_share_;
  std::mt19937 random_;
};

// Touches every byte that the file offers, so that a sanitizer sees a pointer that is out of
// bounds.
std::uint64_t read_everything(const Gguf& file) {
  std::uint64_t sum = file.metadata().size();
  for (const Tensor& tensor : file.tensors()) {
    std::size_t elements = 1;
    for (std::size_t dim : tensor.shape) elements *= dim;
    EXPECT_EQ(elements, tensor.elements);
    EXPECT_EQ(file.find_tensor(tensor.name), &tensor);
    const std::size_t bytes = tensor.elements * type_size(tensor.type);
    for (std::size_t i = 0; i < bytes; ++i) sum += static_cast<std::uint64_t>(tensor.data[i]);
  }
  return sum;
}

TEST(CorruptModels, SoundOnesOpen) {
  for (const char* name : kModels) {
    const std::string bytes = read_model(name);
    ASSERT_FALSE(bytes.empty()) << name;
    const test::AlignedCopy copy(bytes);
    const auto result = Gguf::from_memory(copy.data(), copy.size(), name);
    ASSERT_TRUE(result.ok()) << result.status().message();
    EXPECT_EQ(result.value()->get_string("general.architecture").value(), "pyvoc.lpcnet");
    EXPECT_GT(read_everything(*result.value()), 0u);
  }
}

TEST(CorruptModels, MutationsNeverHarmTheReader) {
  for (const char* name : kModels) {
    const std::string sound = read_model(name);
    const test::AlignedCopy original(sound);
    const auto opened = Gguf::from_memory(original.data(), original.size(), name);
    ASSERT_TRUE(opened.ok());
    const std::size_t header =
        static_cast<std::size_t>(opened.value()->tensors().front().data - original.data());
    Mutator mutator(sound, header, 8, 20190512);
    int refused = 0;
    for (int i = 0; i < kMutations; ++i) {
      const test::AlignedCopy copy(mutator.mutate());
      const auto result = Gguf::from_memory(copy.data(), copy.size(), name);
      if (result.ok()) {
        read_everything(*result.value());
      } else {
        ++refused;
        EXPECT_EQ(result.status().code(), Code::kModel);
        EXPECT_EQ(result.status().message().rfind(std::string(name) + ": ", 0), 0u);
      }
    }
    EXPECT_GT(refused, kMutations / 2) << name;  // the mutations do reach the header
  }
}

// The other direction: finite noise, or an error.
void run_forward(const pyvoc_model* model, const pyvoc_model_info& info,
                 const std::vector<float>& features, const std::string& what) {
  const std::size_t frames = features.size() / info.feature_dims;
  const std::vector<float> pcm(frames * info.hop_length, 0.1f);
  std::vector<float> noise(pcm.size());
  std::vector<double> log_scales(info.flows), log_dets(info.flows);
  const pyvoc_status status =
      pyvoc_model_forward(model, features.data(), frames, info.feature_dims, pcm.data(), pcm.size(),
                          1, noise.data(), log_scales.data(), log_dets.data());
  if (status != PYVOC_OK) {
    EXPECT_TRUE(status == PYVOC_ERROR_UNSUPPORTED || status == PYVOC_ERROR_MODEL) << what;
    return;
  }
  for (float z : noise) ASSERT_TRUE(std::isfinite(z)) << what;
  for (double x : log_scales) ASSERT_TRUE(std::isfinite(x)) << what;
  for (double x : log_dets) ASSERT_TRUE(std::isfinite(x)) << what;
}

// The features that the model's own network has a say in: finite, and the pitch one of a period.
void run_pitch_network(const pyvoc_model* model, const std::string& what) {
  constexpr std::size_t kHop = 160, kFrames = 6, kDims = 20, kPitch = 18;
  std::vector<float> pcm(kFrames * kHop), rows(kFrames * kDims);
  for (std::size_t i = 0; i < pcm.size(); ++i) pcm[i] = i < 320 ? 0.0f : 0.01f * (i % 73);
  pyvoc_extractor* extractor = nullptr;
  ASSERT_EQ(pyvoc_extractor_open_for_model(model, &extractor), PYVOC_OK) << what;
  std::size_t written = 0;
  EXPECT_EQ(pyvoc_extractor_push(extractor, pcm.data(), pcm.size(), rows.data(), kFrames, &written),
            PYVOC_OK);
  EXPECT_EQ(written, kFrames) << what;
  for (float x : rows) ASSERT_TRUE(std::isfinite(x)) << what;
  for (std::size_t k = 0; k < kFrames; ++k) {
    ASSERT_LE(std::fabs(rows[k * kDims + kPitch]), 1.5f) << what;
  }
  pyvoc_extractor_close(extractor);
}

// What the model makes of a few plausible frames: fails the test when it is not finite samples.
void run_model(pyvoc_model* model, const std::string& what) {
  pyvoc_model_info info = {};
  info.struct_size = sizeof(info);
  ASSERT_EQ(pyvoc_model_get_info(model, &info), PYVOC_OK) << what;
  const char* json = nullptr;
  ASSERT_EQ(pyvoc_model_describe(model, &json), PYVOC_OK) << what;
  constexpr std::size_t kFrames = 4;
  std::vector<float> features(kFrames * info.feature_dims, 0.1f);
  const std::size_t samples = kFrames * info.hop_length;
  std::vector<float> pcm(samples, 0.0f);
  pyvoc_stream* stream = nullptr;
  ASSERT_EQ(pyvoc_stream_open(model, nullptr, &stream), PYVOC_OK) << what;
  EXPECT_EQ(pyvoc_stream_push(stream, features.data(), kFrames, info.feature_dims), PYVOC_OK);
  EXPECT_EQ(pyvoc_stream_flush(stream), PYVOC_OK);
  std::size_t written = 0;
  EXPECT_EQ(pyvoc_stream_pull(stream, pcm.data(), samples, &written), PYVOC_OK) << what;
  EXPECT_EQ(written, samples) << what;
  const float most = info.takes_sigma != 0 ? kLoudestFlow : 1.0f;
  for (float x : pcm) {
    ASSERT_TRUE(std::isfinite(x) && std::fabs(x) <= most) << what;
  }
  pyvoc_stream_close(stream);
  if (info.flows != 0) run_forward(model, info, features, what);
  if (info.pitch_network != 0) run_pitch_network(model, what);
}

// What once read beyond its memory: tests/fuzz/kept.
TEST(CorruptModels, KeptOnesAreRefused) {
  int refused = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(PYVOC_TEST_DATA) + "/../fuzz/kept")) {
    const std::string name = "../fuzz/kept/" + entry.path().filename().string();
    const test::AlignedCopy copy(read_model(name));
    pyvoc_model* model = nullptr;
    EXPECT_EQ(pyvoc_model_load_memory(copy.data(), copy.size(), &model), PYVOC_ERROR_MODEL) << name;
    ++refused;
  }
  EXPECT_GT(refused, 0);
}

TEST(CorruptModels, MutationsNeverHarmTheRuntime) {
  for (const char* name : kRunModels) {
    const std::string sound = read_model(name);
    const test::AlignedCopy original(sound);
    pyvoc_model* model = nullptr;
    ASSERT_EQ(pyvoc_model_load_memory(original.data(), original.size(), &model), PYVOC_OK)
        << name << ": " << pyvoc_last_error();
    run_model(model, name);
    pyvoc_model_release(model);
    const auto opened = Gguf::from_memory(original.data(), original.size(), name);
    ASSERT_TRUE(opened.ok());
    const std::size_t header =
        static_cast<std::size_t>(opened.value()->tensors().front().data - original.data());
    Mutator mutator(sound, header, 2, 20210808);
    int refused = 0;
    for (int i = 0; i < kRunMutations; ++i) {
      const test::AlignedCopy copy(mutator.mutate());
      model = nullptr;
      if (pyvoc_model_load_memory(copy.data(), copy.size(), &model) != PYVOC_OK) {
        EXPECT_EQ(model, nullptr);
        EXPECT_NE(std::strlen(pyvoc_last_error()), 0u);
        ++refused;
        continue;
      }
      run_model(model, std::string(name) + ", mutation " + std::to_string(i));
      pyvoc_model_release(model);
    }
    EXPECT_GT(refused, kRunMutations / 4) << name;
    EXPECT_LT(refused, kRunMutations) << name;  // some damage is to be survived
  }
}

}  // namespace
}  // namespace pyvoc::io
