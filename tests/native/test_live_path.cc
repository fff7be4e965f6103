// The live path without thread and clock, and the resampler, over the C ABI.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "pyvoc/pyvoc.hpp"

namespace pyvoc::testing {
namespace {

std::string data(const char* name) { return std::string(PYVOC_TEST_DATA) + "/" + name; }

std::vector<float> speech(std::size_t n, double rate) {
  std::vector<float> x(n);
  for (std::size_t i = 0; i < n; ++i) {
    const double t = static_cast<double>(i) / rate;
    double sum = 0.0;
    for (int k = 1; k < 12; ++k) sum += std::sin(2.0 * 3.14159265358979 * 140.0 * k * t) / k;
    x[i] = static_cast<float>(0.2 * sum * (0.6 + 0.4 * std::sin(20.0 * t)));
  }
  return x;
}

// Frames of the extractor's dims, of which the model may read fewer.
std::vector<float> features(const Model& model, const std::vector<float>& x, std::size_t* stride) {
  Extractor extractor(model);
  const std::size_t dims = *stride = extractor.info().feature_dims, room = 8;
  std::vector<float> frames((extractor.frames_after(x.size()) + room) * dims);
  std::size_t n = extractor.push(x.data(), x.size(), frames.data(), frames.size() / dims);
  n += extractor.flush(frames.data() + n * dims, room);
  frames.resize(n * dims);
  return frames;
}

std::vector<float> synthesised(const Model& model, const std::vector<float>& frames,
                               std::size_t stride) {
  const std::size_t n = frames.size() / stride;
  Stream stream(model, 0, static_cast<std::uint32_t>(n));
  stream.push(frames.data(), n, stride);
  stream.flush();
  std::vector<float> out(n * model.info().hop_length);
  out.resize(stream.pull(out.data(), out.size()));
  return out;
}

void pull_all(LivePath& path, std::vector<float>* out) {
  float block[500];
  while (const std::size_t n = path.pull(block, 500)) out->insert(out->end(), block, block + n);
}

// A whole signal in pieces; what is not taken at once is offered again.
std::vector<float> through(LivePath& path, const std::vector<float>& x, std::size_t piece) {
  std::vector<float> out;
  for (std::size_t at = 0; at < x.size();) {
    const std::size_t taken = path.push(x.data() + at, std::min(piece, x.size() - at));
    at += taken;
    if (taken == 0 || at % 3 == 0) pull_all(path, &out);
  }
  path.finish();
  pull_all(path, &out);
  return out;
}

// Where two signals part; "" where they do not.
std::string difference(const std::vector<float>& found, const std::vector<float>& wanted) {
  const std::size_t n = std::min(found.size(), wanted.size());
  const std::size_t at = static_cast<std::size_t>(
      std::mismatch(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(n), wanted.begin())
          .first -
      found.begin());
  if (at == n && found.size() == wanted.size()) return "";
  return "sample " + std::to_string(at) + " of " + std::to_string(found.size()) + " and " +
         std::to_string(wanted.size()) + " differs: " +
         (at < n ? std::to_string(found[at]) + ", expected " + std::to_string(wanted[at]) : "end");
}

class LivePathModels : public ::testing::TestWithParam<const char*> {};

TEST_P(LivePathModels, AFileGivesWhatSynthesisGivesInAnyPieces) {
  const Model model(data(GetParam()));
  const std::vector<float> x = speech(12000, model.info().sample_rate);
  std::size_t dims = 0;
  const std::vector<float> frames = features(model, x, &dims);
  const std::vector<float> wanted = synthesised(model, frames, dims);
  pyvoc_live_path_options options = PYVOC_LIVE_PATH_OPTIONS_INIT;
  options.capacity_samples = 1;  // little more than bursts: push is stopped now and then
  for (const std::uint32_t chunk : {0, 5}) {
    options.chunk_frames = chunk;
    LivePath path(model, options);
    for (const std::size_t piece : {1u, 128u, 5000u}) {
      ASSERT_EQ(difference(through(path, x, piece), wanted), "")
          << "chunk " << chunk << ", pieces of " << piece;
      EXPECT_EQ(path.push(x.data(), 10), 0u) << "nothing is taken after finish";
      path.reset();
    }
  }
  options.chunk_frames = 0;
  options.flags = PYVOC_LIVE_FEATURES;
  LivePath path(model, options);
  EXPECT_EQ(path.info().feature_dims, model.info().feature_dims);
  std::vector<float> out;
  for (std::size_t at = 0; at < frames.size() / dims;) {
    at += path.push_features(frames.data() + at * dims, frames.size() / dims - at, dims);
    pull_all(path, &out);
  }
  path.finish();
  pull_all(path, &out);
  EXPECT_EQ(difference(out, wanted), "");
  EXPECT_EQ(path.push(x.data(), 10), 0u) << "PCM where features are expected";
}

// In a callback that pulls as much as it pushes, after the silence that info() asks for.
TEST_P(LivePathModels, PullNeverRunsShortAfterTheLatency) {
  const Model model(data(GetParam()));
  struct Case {
    std::uint32_t in, out, chunk, block_in, block_out;
  };
  const std::uint32_t own = model.info().sample_rate;
  for (const Case& c :
       {Case{own, own, 0, 128, 128}, Case{own, own, 3, 37, 37}, Case{48000, 48000, 0, 128, 128},
        Case{48000, 44100, 2, 480, 441}, Case{8000, 48000, 0, 80, 480}}) {
    pyvoc_live_path_options options = PYVOC_LIVE_PATH_OPTIONS_INIT;
    options.input_rate = c.in;
    options.output_rate = c.out;
    options.chunk_frames = c.chunk;
    LivePath path(model, options);
    const std::uint32_t latency = path.info().latency_samples;
    const std::vector<float> x = speech(c.block_in, c.in);
    std::vector<float> out(c.block_out);
    std::size_t silence = latency, asked = 0, got = 0;
    for (std::size_t total = 0; total < 2 * c.in; total += c.block_in) {
      ASSERT_EQ(path.push(x.data(), x.size()), x.size());
      const std::size_t quiet = std::min<std::size_t>(silence, out.size());
      silence -= quiet;
      const std::size_t n = path.pull(out.data(), out.size() - quiet);
      ASSERT_EQ(n, out.size() - quiet) << c.in << " -> " << c.out << " at " << total;
      asked += out.size();
      got += n;
    }
    EXPECT_EQ(asked - got, latency);
  }
}

TEST_P(LivePathModels, LatencyIsNoMoreThanIsNeeded) {
  const Model model(data(GetParam()));
  LivePath path(model, PYVOC_LIVE_PATH_OPTIONS_INIT);
  const std::size_t latency = path.info().latency_samples;
  std::size_t got = 0, needed = 0;
  float out[512];
  const float in = 0.01f;
  for (std::size_t pushed = 1; pushed < 10000; ++pushed) {
    path.push(&in, 1);
    while (const std::size_t n = path.pull(out, 512)) got += n;
    needed = std::max(needed, pushed - std::min(pushed, got));
  }
  EXPECT_GE(latency, needed);
  EXPECT_LE(latency, needed + 8);
}

INSTANTIATE_TEST_SUITE_P(Models, LivePathModels,
                         ::testing::Values("tree_sparse.int8.gguf", "fargan/even.f32.gguf",
                                           "melgan/odd.f32.gguf", "hifigan/odd.f32.gguf",
                                           "wavernn/mol.f32.gguf", "waveglow/plain.f32.gguf"),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name) {
                             if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
                           }
                           return name;
                         });

TEST(LivePath, BypassIsTheInputAndHostileSamplesAreCounted) {
  const Model model(data("tree_sparse.int8.gguf"));
  pyvoc_live_path_options options = PYVOC_LIVE_PATH_OPTIONS_INIT;
  options.flags = PYVOC_LIVE_BYPASS;
  LivePath path(model, options);
  std::vector<float> x = speech(3000, 16000.0);
  x[5] = std::numeric_limits<float>::quiet_NaN();
  x[6] = std::numeric_limits<float>::infinity();
  x[7] = -2.0f;
  const std::vector<float> out = through(path, x, 100);
  x[5] = 0.0f;
  x[6] = 1.0f;
  x[7] = -1.0f;
  EXPECT_EQ(out, x);
  EXPECT_EQ(path.info().bad_samples, 3u);
  path.reset();
  EXPECT_EQ(path.info().bad_samples, 0u);
}

TEST(LivePath, OptionsAndCallsAreChecked) {
  const Model model(data("tree_sparse.int8.gguf")), mel(data("melgan/odd.f32.gguf"));
  const auto said = [](const Model& m, const pyvoc_live_path_options& options) {
    pyvoc_live_path* path = nullptr;
    const pyvoc_status status = pyvoc_live_path_open(m.get(), &options, &path);
    EXPECT_NE(status, PYVOC_OK);
    EXPECT_EQ(path, nullptr);
    return std::string(pyvoc_last_error());
  };
  pyvoc_live_path_options options = PYVOC_LIVE_PATH_OPTIONS_INIT;
  options.input_rate = 100;
  EXPECT_NE(said(model, options).find("a sample rate is 100"), std::string::npos);
  options = PYVOC_LIVE_PATH_OPTIONS_INIT;
  options.flags = PYVOC_LIVE_TAP;
  EXPECT_NE(said(model, options).find("flags"), std::string::npos);
  options.flags = PYVOC_LIVE_BYPASS | PYVOC_LIVE_FEATURES;
  EXPECT_NE(said(model, options).find("cannot bypass"), std::string::npos);
  options = PYVOC_LIVE_PATH_OPTIONS_INIT;
  options.pitch = std::nanf("");
  EXPECT_NE(said(model, options).find("semitones"), std::string::npos);
  options.pitch = 0.0f;
  options.formant = 1.0f;
  EXPECT_NE(said(mel, options).find("shift the pitch"), std::string::npos);
  options = PYVOC_LIVE_PATH_OPTIONS_INIT;
  options.chunk_frames = 33;
  EXPECT_NE(said(model, options).find("chunk_frames is 33"), std::string::npos);
  options.chunk_frames = 0;
  options.capacity_samples = UINT32_MAX;
  EXPECT_NE(said(model, options).find("capacity_samples"), std::string::npos);

  LivePath path(mel, PYVOC_LIVE_PATH_OPTIONS_INIT);
  EXPECT_THROW(path.correct(1.0), Exception);  // one clock
  EXPECT_THROW(path.set_shift(0.0f, 1.0f), Exception);
  EXPECT_THROW(path.set_shift(25.0f, 0.0f), Exception);
  EXPECT_NO_THROW(path.set_shift(2.0f, 0.0f));
  options = PYVOC_LIVE_PATH_OPTIONS_INIT;
  options.flags = PYVOC_LIVE_TWO_CLOCKS;
  LivePath two(mel, options);
  EXPECT_NO_THROW(two.correct(1.004));
  EXPECT_THROW(two.correct(1.006), Exception);
  EXPECT_EQ(pyvoc_live_path_push(nullptr, nullptr, 1), 0u);
  EXPECT_EQ(pyvoc_live_path_pull(nullptr, nullptr, 1), 0u);
  pyvoc_live_path_finish(nullptr);
  pyvoc_live_path_close(nullptr);
  EXPECT_EQ(pyvoc_live_path_reset(nullptr), PYVOC_ERROR_ARGUMENT);
}

TEST(LivePath, ClocksAreFollowed) {
  const Model model(data("tree_sparse.int8.gguf"));
  pyvoc_live_path_options options = PYVOC_LIVE_PATH_OPTIONS_INIT;
  options.flags = PYVOC_LIVE_TWO_CLOCKS | PYVOC_LIVE_BYPASS;
  LivePath path(model, options);
  path.correct(1.002);
  const std::size_t n = through(path, speech(32000, 16000.0), 160).size();
  EXPECT_NEAR(static_cast<double>(n), 32000 * 1.002, 2.0);
}

TEST(ResamplerApi, KeepsATonePieceByPiece) {
  const std::vector<float> x = speech(4800, 48000.0);
  Resampler resampler(48000, 16000);
  const auto run = [&](std::size_t piece) {
    std::vector<float> out, block;
    for (std::size_t at = 0; at < x.size(); at += piece) {
      const std::size_t n = std::min(piece, x.size() - at);
      block.resize(resampler.samples_after(n));
      const std::size_t got = resampler.push(x.data() + at, n, block.data(), block.size());
      out.insert(out.end(), block.begin(), block.begin() + static_cast<std::ptrdiff_t>(got));
    }
    block.resize(resampler.samples_after(0));
    const std::size_t got = resampler.flush(block.data(), block.size());
    out.insert(out.end(), block.begin(), block.begin() + static_cast<std::ptrdiff_t>(got));
    return out;
  };
  const std::vector<float> whole = run(x.size());
  EXPECT_NEAR(static_cast<double>(whole.size()), 1600.0, 1.0);
  const std::vector<float> wanted = speech(1600, 16000.0);
  for (std::size_t i = 400; i < 1200; ++i) ASSERT_NEAR(whole[i], wanted[i], 2e-3f) << i;

  float out[64];
  std::size_t written = 0;
  EXPECT_EQ(resampler.try_push(x.data(), 3, out, 64, &written), PYVOC_ERROR_STATE);
  resampler.reset();
  EXPECT_EQ(run(7), whole);
  resampler.reset();
  EXPECT_EQ(resampler.try_push(x.data(), 480, out, 64, &written), PYVOC_ERROR_ARGUMENT);
  const float bad[2] = {0.0f, std::nanf("")};
  EXPECT_EQ(resampler.try_push(bad, 2, out, 64, &written), PYVOC_ERROR_AUDIO);
  EXPECT_THROW(resampler.correct(0.9), Exception);
  EXPECT_THROW(Resampler(48000, 3999), Exception);
  EXPECT_GT(resampler.latency_samples(), 0u);
}

}  // namespace
}  // namespace pyvoc::testing
