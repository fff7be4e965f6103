// Sums of sizes that a caller gave, at their limits: they neither wrap nor make promises.
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "base/counts.h"
#include "dsp/mel_recipe.h"
#include "pyvoc/pyvoc.h"

namespace {

constexpr std::size_t kMost = std::numeric_limits<std::size_t>::max();

TEST(Counts, StopBelowTheLimitsOfIntegers) {
  EXPECT_EQ(pyvoc::add_counts(2, 3), 5u);
  EXPECT_EQ(pyvoc::add_counts(0, kMost), pyvoc::kMostCount);
  EXPECT_EQ(pyvoc::add_counts(kMost, kMost), pyvoc::kMostCount);
  EXPECT_EQ(pyvoc::add_counts(pyvoc::kMostCount, 1), pyvoc::kMostCount);
}

TEST(Sizes, FramesOfAnySignal) {
  const pyvoc::dsp::MelRecipe recipe;
  std::size_t before = 0;
  for (const std::size_t n : {std::size_t{1} << 20, std::size_t{1} << 62, kMost - 1, kMost}) {
    EXPECT_GE(recipe.frames(n), before) << n;
    before = recipe.frames(n);
  }
}

class Sizes : public ::testing::TestWithParam<const char*> {};

TEST_P(Sizes, OfAStream) {
  pyvoc_model* model = nullptr;
  const std::string path = std::string(PYVOC_TEST_DATA) + "/" + GetParam();
  ASSERT_EQ(pyvoc_model_load(path.c_str(), &model), PYVOC_OK) << pyvoc_last_error();
  pyvoc_model_info info = {};
  info.struct_size = sizeof info;
  ASSERT_EQ(pyvoc_model_get_info(model, &info), PYVOC_OK);
  pyvoc_stream_options options = PYVOC_STREAM_OPTIONS_INIT;
  options.capacity_frames = 1;
  pyvoc_stream* stream = nullptr;
  ASSERT_EQ(pyvoc_stream_open(model, &options, &stream), PYVOC_OK) << pyvoc_last_error();

  // 1 waits: the sum would be 0.
  const std::vector<float> frames(4 * info.feature_dims, 0.1f);
  ASSERT_EQ(pyvoc_stream_push(stream, frames.data(), 1, info.feature_dims), PYVOC_OK);
  for (const std::size_t more : {kMost, kMost - 1, kMost / 2, kMost / info.feature_dims}) {
    EXPECT_EQ(pyvoc_stream_reserve(stream, more), PYVOC_ERROR_MEMORY) << more;
  }
  EXPECT_EQ(pyvoc_stream_push(stream, frames.data(), 1, info.feature_dims), PYVOC_ERROR_FULL);
  ASSERT_EQ(pyvoc_stream_reserve(stream, 3), PYVOC_OK);
  ASSERT_EQ(pyvoc_stream_push(stream, frames.data(), 3, info.feature_dims), PYVOC_OK);
  ASSERT_EQ(pyvoc_stream_flush(stream), PYVOC_OK);

  // "As much as there is": no more than available() is written.
  const std::size_t available = pyvoc_stream_available(stream);
  EXPECT_EQ(available, std::size_t{4} * info.hop_length);
  std::vector<float> samples(available + 1, 7.0f);
  std::size_t written = 0;
  ASSERT_EQ(pyvoc_stream_pull(stream, samples.data(), kMost, &written), PYVOC_OK);
  EXPECT_EQ(written, available);
  EXPECT_EQ(samples.back(), 7.0f);
  pyvoc_stream_close(stream);
  pyvoc_model_release(model);
}

INSTANTIATE_TEST_SUITE_P(Models, Sizes,
                         ::testing::Values("tree_sparse.f32.gguf", "melgan/odd.f32.gguf",
                                           "waveglow/early.f32.gguf", "wavernn/mol.f32.gguf"));

TEST(Sizes, OfExtractorsAndDenoisers) {
  for (const char* layout : {"lpcnet36", "mel-nvidia"}) {
    pyvoc_extractor* extractor = nullptr;
    ASSERT_EQ(pyvoc_extractor_open(layout, &extractor), PYVOC_OK) << pyvoc_last_error();
    const std::vector<float> pcm(4096, 0.01f);
    std::vector<float> frames(64 * 128);
    std::size_t written = 0;
    ASSERT_EQ(pyvoc_extractor_push(extractor, pcm.data(), 100, frames.data(), 64, &written),
              PYVOC_OK);
    std::size_t before = 0;
    for (const std::size_t n : {std::size_t{1} << 20, std::size_t{1} << 60, kMost}) {
      EXPECT_GE(pyvoc_extractor_frames_after(extractor, n), before) << layout << " " << n;
      before = pyvoc_extractor_frames_after(extractor, n);
    }
    pyvoc_extractor_close(extractor);
  }
  const std::vector<float> bias(513, 0.0f), pcm(4096, 0.01f);
  pyvoc_denoiser* denoiser = nullptr;
  ASSERT_EQ(pyvoc_denoiser_open(bias.data(), bias.size(), nullptr, &denoiser), PYVOC_OK);
  std::vector<float> samples(8192);
  std::size_t written = 0;
  ASSERT_EQ(pyvoc_denoiser_push(denoiser, pcm.data(), 100, samples.data(), 8192, &written),
            PYVOC_OK);
  EXPECT_GE(pyvoc_denoiser_samples_after(denoiser, kMost),
            pyvoc_denoiser_samples_after(denoiser, std::size_t{1} << 60));
  pyvoc_denoiser_close(denoiser);
}

}  // namespace
