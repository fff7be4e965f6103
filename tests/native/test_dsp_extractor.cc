// The extractor: chunking, tiers, reset; and the C ABI around it.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "dsp/lpcnet_extractor.h"
#include "kernels/resolve.h"
#include "pyvoc/pyvoc.h"

namespace pyvoc::dsp {
namespace {

// Voiced and unvoiced stretches, silence, and a pitch that glides.
std::vector<float> speech_like(std::size_t n, unsigned seed) {
  std::mt19937 engine(seed);
  std::vector<float> x(n);
  double phase = 0.0, low = 0.0;
  for (std::size_t i = 0; i < n; ++i) {
    const double white = static_cast<double>(engine()) * 0x1p-31 - 1.0;
    const double pitch = 110.0 + 60.0 * std::sin(static_cast<double>(i) / 9000.0);
    phase += pitch / 16000.0;
    if (phase >= 1.0) phase -= 1.0;
    const double pulse = phase < 0.05 ? 1.0 : 0.0;
    const int part = static_cast<int>(i / 4000) % 3;
    const double drive = part == 0 ? pulse + 0.01 * white : (part == 1 ? 0.2 * white : 0.0);
    low = 0.9 * low + drive;
    x[i] = static_cast<float>(std::round(3000.0 * low) / 32768.0);
  }
  return x;
}

std::vector<float> run(LpcnetExtractor& e, const std::vector<float>& x,
                       const std::vector<std::size_t>& chunks) {
  std::vector<float> out;
  std::size_t at = 0, turn = 0;
  while (at < x.size()) {
    const std::size_t take = std::min(chunks[turn++ % chunks.size()], x.size() - at);
    const std::size_t due = e.frames_after(take), before = out.size();
    out.resize(before + due * e.dims());
    EXPECT_EQ(e.push({x.data() + at, take}, out.data() + before), due);
    at += take;
  }
  return out;
}

const kernels::KernelTable& table_of(const char* tier) {
  const auto table = kernels::table_for(tier);
  EXPECT_TRUE(table.ok());
  return *table.value();
}

class Layouts : public ::testing::TestWithParam<Layout> {};

TEST_P(Layouts, ChunksDoNotMatter) {
  const std::vector<float> x = speech_like(30000, 1);
  LpcnetExtractor e(GetParam(), table_of("scalar"));
  const std::vector<float> whole = run(e, x, {x.size()});
  ASSERT_GT(whole.size(), 0u);
  for (const auto& chunks : std::vector<std::vector<std::size_t>>{
           {1}, {7}, {159}, {160}, {161}, {0, 1, 639, 641}, {5000, 3}}) {
    e.reset();
    const std::vector<float> parts = run(e, x, chunks);
    ASSERT_EQ(parts.size(), whole.size());
    EXPECT_EQ(std::memcmp(parts.data(), whole.data(), whole.size() * sizeof(float)), 0)
        << "first chunk " << chunks[0];
  }
}

TEST_P(Layouts, EveryTierGivesTheSameBits) {
  const std::vector<float> x = speech_like(40000, 2);
  LpcnetExtractor reference(GetParam(), table_of("scalar"));
  const std::vector<float> expected = run(reference, x, {x.size()});
  for (const kernels::Tier& tier : kernels::tiers()) {
    if (!tier.supported) continue;
    LpcnetExtractor e(GetParam(), table_of(tier.name));
    const std::vector<float> rows = run(e, x, {x.size()});
    ASSERT_EQ(rows.size(), expected.size());
    EXPECT_EQ(std::memcmp(rows.data(), expected.data(), rows.size() * sizeof(float)), 0)
        << tier.name;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Layouts,
                         ::testing::Values(Layout::kLpcnet36, Layout::kLpcnet20, Layout::kLpcnet55,
                                           Layout::kOpus20),
                         [](const auto& info) { return layout_name(info.param); });

TEST(LpcnetExtractor, TracksAKnownPitch) {
  std::vector<float> x(16000);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = i % 100 == 0 ? 0.5f : 0.0f;
  for (Layout layout : {Layout::kLpcnet36, Layout::kLpcnet55}) {
    LpcnetExtractor e(layout, table_of("scalar"));
    const std::vector<float> rows = run(e, x, {x.size()});
    const std::size_t pitch = layout == Layout::kLpcnet36 ? 18 : 36;
    for (std::size_t k = 20; k < rows.size() / e.dims(); ++k) {
      const float* row = rows.data() + k * e.dims();
      EXPECT_NEAR(row[pitch], 0.0, 0.021) << "frame " << k << ": a period of 100 samples is 0";
      EXPECT_GT(row[pitch + 1], 0.4) << "frame " << k;
    }
  }
}

TEST(LpcnetExtractor, OpusHasThePitchInOctaves) {
  const std::vector<float> x = speech_like(30000, 3);
  LpcnetExtractor lpcnet(Layout::kLpcnet20, table_of("scalar"));
  LpcnetExtractor opus(Layout::kOpus20, table_of("scalar"));
  const std::vector<float> expected = run(lpcnet, x, {x.size()});
  const std::vector<float> rows = run(opus, x, {x.size()});
  ASSERT_EQ(rows.size(), expected.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (i % 20 != 18) {
      ASSERT_EQ(rows[i], expected[i]);
      continue;
    }
    const float period = 256.0f / std::exp2(rows[i] + 1.5f);
    ASSERT_NEAR(0.02f * period - 2.0f, expected[i], 1e-4f) << "frame " << i / 20;
  }
}

TEST(LpcnetExtractor, SilenceAndFullScaleStayFinite) {
  for (Layout layout : {Layout::kLpcnet36, Layout::kLpcnet55}) {
    for (float level : {0.0f, 1.0f, 16.0f, 1e-30f}) {
      std::vector<float> x(6400);
      for (std::size_t i = 0; i < x.size(); ++i) x[i] = i / 8 % 2 == 0 ? level : -level;
      LpcnetExtractor e(layout, table_of("scalar"));
      for (float v : run(e, x, {x.size()})) ASSERT_TRUE(std::isfinite(v)) << level;
    }
  }
}

// ---- the C ABI ----------------------------------------------------------------------------------

struct Closer {
  ~Closer() { pyvoc_extractor_close(e); }
  pyvoc_extractor* e = nullptr;
};

TEST(ExtractorAbi, OpensByNameAndTellsItsShape) {
  for (const auto& [name, dims, latency] : {std::tuple("lpcnet36", 36u, 160u),
                                            {"lpcnet20", 20u, 160u},
                                            {"lpcnet55", 55u, 640u},
                                            {"opus20", 20u, 160u}}) {
    Closer c;
    ASSERT_EQ(pyvoc_extractor_open(name, &c.e), PYVOC_OK);
    pyvoc_extractor_info info{};
    EXPECT_EQ(pyvoc_extractor_get_info(c.e, &info), PYVOC_ERROR_ARGUMENT);
    info.struct_size = sizeof info;
    ASSERT_EQ(pyvoc_extractor_get_info(c.e, &info), PYVOC_OK);
    EXPECT_EQ(info.sample_rate, 16000u);
    EXPECT_EQ(info.hop_length, 160u);
    EXPECT_EQ(info.feature_dims, dims);
    EXPECT_EQ(info.latency_samples, latency);
  }
}

TEST(ExtractorAbi, RefusesWhatIsWrongAndConsumesNothing) {
  pyvoc_extractor* none = nullptr;
  EXPECT_EQ(pyvoc_extractor_open("lpcnet21", &none), PYVOC_ERROR_ARGUMENT);
  EXPECT_NE(std::string(pyvoc_last_error()).find("lpcnet36"), std::string::npos);
  EXPECT_EQ(pyvoc_extractor_open(nullptr, &none), PYVOC_ERROR_ARGUMENT);
  EXPECT_EQ(pyvoc_extractor_open("lpcnet36", nullptr), PYVOC_ERROR_ARGUMENT);
  EXPECT_EQ(none, nullptr);
  pyvoc_extractor_close(nullptr);
  EXPECT_EQ(pyvoc_extractor_frames_after(nullptr, 1000), 0u);

  Closer c;
  ASSERT_EQ(pyvoc_extractor_open("lpcnet36", &c.e), PYVOC_OK);
  const std::vector<float> x = speech_like(1600, 3);
  std::vector<float> expected(10 * 36), rows(10 * 36);
  std::size_t written = 77;
  ASSERT_EQ(pyvoc_extractor_push(c.e, x.data(), 1600, expected.data(), 10, &written), PYVOC_OK);
  ASSERT_EQ(written, 10u);

  ASSERT_EQ(pyvoc_extractor_reset(c.e), PYVOC_OK);
  written = 77;
  EXPECT_EQ(pyvoc_extractor_push(c.e, x.data(), 1600, rows.data(), 9, &written),
            PYVOC_ERROR_ARGUMENT);
  EXPECT_EQ(pyvoc_extractor_push(c.e, nullptr, 1600, rows.data(), 10, &written),
            PYVOC_ERROR_ARGUMENT);
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                    -17.0f, 3000.0f}) {
    std::vector<float> y = x;
    y[1000] = bad;
    EXPECT_EQ(pyvoc_extractor_push(c.e, y.data(), 1600, rows.data(), 10, &written),
              PYVOC_ERROR_AUDIO);
  }
  EXPECT_EQ(written, 77u);
  ASSERT_EQ(pyvoc_extractor_push(c.e, x.data(), 1600, rows.data(), 10, &written), PYVOC_OK);
  EXPECT_EQ(std::memcmp(rows.data(), expected.data(), rows.size() * sizeof(float)), 0);
}

TEST(ExtractorAbi, FlushEndsTheSignalUntilReset) {
  Closer c;
  ASSERT_EQ(pyvoc_extractor_open("lpcnet36", &c.e), PYVOC_OK);
  const float x[200] = {};
  float row[36];
  std::size_t written = 0;
  ASSERT_EQ(pyvoc_extractor_push(c.e, x, 200, row, 1, &written), PYVOC_OK);
  EXPECT_EQ(pyvoc_extractor_frames_after(c.e, 119), 0u);
  EXPECT_EQ(pyvoc_extractor_frames_after(c.e, 120), 1u);
  ASSERT_EQ(pyvoc_extractor_flush(c.e, nullptr, 0, &written), PYVOC_OK);
  EXPECT_EQ(written, 0u);
  EXPECT_EQ(pyvoc_extractor_push(c.e, x, 1, row, 1, &written), PYVOC_ERROR_STATE);
  EXPECT_EQ(pyvoc_extractor_flush(c.e, nullptr, 0, &written), PYVOC_ERROR_STATE);
  ASSERT_EQ(pyvoc_extractor_reset(c.e), PYVOC_OK);
  EXPECT_EQ(pyvoc_extractor_frames_after(c.e, 160), 1u);
  EXPECT_EQ(pyvoc_extractor_push(c.e, x, 160, row, 1, &written), PYVOC_OK);
}

}  // namespace
}  // namespace pyvoc::dsp
