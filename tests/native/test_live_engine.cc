// The live engine, turn by turn on the test's own thread (so that nothing depends on time), and on
// its thread through the C++ wrapper.
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <string>
#include <thread>
#include <vector>

#include "api/handles.h"
#include "api/live_engine.h"
#include "pyvoc/pyvoc.hpp"

namespace pyvoc::testing {
namespace {

using api::LiveEngine;
using api::LiveSettings;

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

LiveSettings settings(double rate = 16000.0) {
  LiveSettings s;
  s.input_rate = s.output_rate = rate;
  s.block = static_cast<std::size_t>(rate / 100.0);
  s.margin = 0.0;
  s.force = true;  // how fast this machine is, under instruments at that, is no test
  return s;
}

std::unique_ptr<LiveEngine> open(const Model& model, const LiveSettings& s) {
  auto engine = LiveEngine::open(*model.get(), s);
  EXPECT_TRUE(engine.ok()) << engine.status().message();
  return engine.ok() ? std::move(engine.value()) : nullptr;
}

void work(LiveEngine& engine) {
  while (engine.turn()) {
  }
}

// A file through the engine: everything that comes out.
std::vector<float> through(LiveEngine& engine, const std::vector<float>& x) {
  std::vector<float> out, block(1000);
  std::size_t taken = 0;
  for (int i = 0; i < 100000 && !engine.done(); ++i) {
    if (taken < x.size())
      taken += engine.write(x.data() + taken, std::min<std::size_t>(777, x.size() - taken));
    if (taken == x.size()) engine.end_input();
    work(engine);
    const std::size_t n = engine.read(block.data(), block.size());
    out.insert(out.end(), block.begin(), block.begin() + static_cast<std::ptrdiff_t>(n));
  }
  EXPECT_TRUE(engine.done());
  return out;
}

std::vector<float> synthesised(const Model& model, const std::vector<float>& x) {
  Extractor extractor(model);
  std::vector<float> frames((extractor.frames_after(x.size()) + 8) * extractor.info().feature_dims);
  std::size_t n = extractor.push(x.data(), x.size(), frames.data(), frames.size());
  n += extractor.flush(frames.data() + n * extractor.info().feature_dims, 8);
  Stream stream(model, 0, static_cast<std::uint32_t>(n));
  stream.push(frames.data(), n, extractor.info().feature_dims);
  stream.flush();
  std::vector<float> out(n * model.info().hop_length);
  out.resize(stream.pull(out.data(), out.size()));
  return out;
}

class LiveModels : public ::testing::TestWithParam<const char*> {};

TEST_P(LiveModels, AFileGivesWhatSynthesisGives) {
  const Model model(data(GetParam()));
  LiveSettings s = settings(model.info().sample_rate);
  s.input_waits = s.output_waits = s.force = true;
  const std::vector<float> x = speech(20000, s.input_rate);
  for (const std::size_t chunk : {1, 5}) {
    s.chunk = chunk;
    auto engine = open(model, s);
    ASSERT_NE(engine, nullptr);
    EXPECT_EQ(through(*engine, x), synthesised(model, x)) << chunk;
  }
}

TEST_P(LiveModels, OtherRatesOfTheDevicesKeepTheLength) {
  const Model model(data(GetParam()));
  LiveSettings s = settings(48000.0);
  s.output_rate = 44100.0;
  s.input_waits = s.output_waits = s.force = true;
  auto engine = open(model, s);
  ASSERT_NE(engine, nullptr);
  const std::vector<float> x = speech(48000, s.input_rate);
  const double hop = static_cast<double>(model.info().hop_length) / model.info().sample_rate;
  EXPECT_NEAR(static_cast<double>(through(*engine, x).size()) / 44100.0, 1.0, 5.0 * hop);
}

INSTANTIATE_TEST_SUITE_P(Models, LiveModels,
                         ::testing::Values("tree_sparse.int8.gguf", "softmax_sparse.f32.gguf",
                                           "fargan/even.f32.gguf", "melgan/odd.f32.gguf",
                                           "wavernn/mol.f32.gguf", "waveglow/plain.f32.gguf"),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name) {
                             if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
                           }
                           return name;
                         });

TEST(LiveEngine, BypassIsTheInputSampleForSample) {
  const Model model(data("tree_sparse.int8.gguf"));
  LiveSettings s = settings();
  s.bypass = true;
  s.margin = 0.005;
  auto engine = open(model, s);
  ASSERT_NE(engine, nullptr);
  const std::vector<float> x = speech(16000, 16000.0);
  std::vector<float> out(x.size());
  for (std::size_t at = 0; at < x.size(); at += 160) {
    engine->write(x.data() + at, 160);
    engine->read(out.data() + at, 160);  // the engine has not seen this block yet
    work(*engine);
  }
  // One block, which the engine had no time for, and the margin.
  const std::size_t lag = 160 + 80;
  pyvoc_live_stats stats{};
  engine->get_stats(stats);
  EXPECT_NEAR(stats.delay * 16000.0, static_cast<double>(lag), 1e-6);
  std::size_t wrong = 0;
  for (std::size_t i = 1000; i < x.size(); ++i) wrong += out[i] != x[i - lag];
  EXPECT_EQ(wrong, 0u);
}

TEST(LiveEngine, AStallIsOneUnderrunAndNoLastingDelay) {
  const Model model(data("tree_sparse.int8.gguf"));
  LiveSettings s = settings();
  s.bypass = true;
  auto engine = open(model, s);
  ASSERT_NE(engine, nullptr);
  const std::vector<float> x = speech(32000, 16000.0);
  std::vector<float> out(x.size());
  for (std::size_t at = 0; at < x.size(); at += 160) {
    engine->write(x.data() + at, 160);
    engine->read(out.data() + at, 160);
    if (at < 8000 || at >= 8800) work(*engine);  // five blocks that the engine sleeps
  }
  pyvoc_live_stats stats{};
  engine->get_stats(stats);
  EXPECT_EQ(stats.underruns, 1u);
  EXPECT_EQ(stats.overruns, 0u);
  EXPECT_NEAR(stats.margin, 0.005, 1e-9);  // it was 0
  std::size_t wrong = 0;
  for (std::size_t i = 20000; i < x.size(); ++i) wrong += out[i] != x[i - 160 - 80];
  EXPECT_EQ(wrong, 0u);
}

TEST(LiveEngine, AFullInputLosesSamplesAndCountsThem) {
  const Model model(data("tree_sparse.int8.gguf"));
  auto engine = open(model, settings());
  ASSERT_NE(engine, nullptr);
  const std::vector<float> x(160, 0.1f);
  for (int i = 0; i < 200; ++i) engine->write(x.data(), x.size());  // nobody takes them
  pyvoc_live_stats stats{};
  engine->get_stats(stats);
  EXPECT_GT(stats.overruns, 0u);
  EXPECT_EQ(stats.input_frames + stats.lost_frames, 32000u);
}

TEST(LiveEngine, HostileInputIsSanitised) {
  const Model model(data("tree_sparse.int8.gguf"));
  auto engine = open(model, settings());
  ASSERT_NE(engine, nullptr);
  std::vector<float> x = speech(16000, 16000.0), out(160);
  for (std::size_t i = 0; i < x.size(); i += 10) {
    const float bad[] = {NAN, INFINITY, -INFINITY, 1e30f, -3.4e38f};
    x[i] = bad[i / 10 % 5];
  }
  float most = 0.0f;
  for (std::size_t at = 0; at < x.size(); at += 160) {
    engine->write(x.data() + at, 160);
    work(*engine);
    engine->read(out.data(), out.size());
    for (const float v : out) {
      ASSERT_TRUE(std::isfinite(v));
      most = std::max(most, std::fabs(v));
    }
  }
  EXPECT_LE(most, 1.0f);
  EXPECT_GT(most, 0.0f);
  pyvoc_live_stats stats{};
  engine->get_stats(stats);
  EXPECT_EQ(stats.bad_samples, 1600u);
  EXPECT_EQ(stats.bad_features, 0u);
}

TEST(LiveEngine, ChannelsAreAveragedAndRepeated) {
  const Model model(data("tree_sparse.int8.gguf"));
  LiveSettings s = settings();
  s.bypass = s.input_waits = s.output_waits = true;
  s.input_channels = 2;
  s.output_channels = 3;
  auto engine = open(model, s);
  ASSERT_NE(engine, nullptr);
  const std::vector<float> x = {0.5f, 0.25f, -1.0f, 0.0f};
  EXPECT_EQ(engine->write(x.data(), 2), 2u);
  work(*engine);
  std::vector<float> out(12, 9.0f);
  EXPECT_EQ(engine->read(out.data(), 4), 2u);
  EXPECT_EQ(out,
            (std::vector<float>{0.375f, 0.375f, 0.375f, -0.5f, -0.5f, -0.5f, 0, 0, 0, 0, 0, 0}));
}

TEST(LiveEngine, PitchAndFeatureFrames) {
  const Model model(data("tree_sparse.f32.gguf"));
  const std::vector<float> x = speech(16000, 16000.0);
  Extractor extractor(model);
  std::vector<float> frames(100 * 36);
  const std::size_t n = extractor.push(x.data(), x.size(), frames.data(), 100);
  ASSERT_EQ(n, 100u);
  LiveSettings s = settings();
  s.input_is_features = s.input_waits = s.output_waits = true;
  s.pitch = 5.0f;
  auto engine = open(model, s);
  ASSERT_NE(engine, nullptr);
  std::vector<float> out, block(1000);
  for (std::size_t i = 0; !engine->done();) {
    i += engine->write_features(frames.data() + i * 36, std::min<std::size_t>(n - i, 7), 36);
    if (i == n) engine->end_input();
    work(*engine);
    const std::size_t got = engine->read(block.data(), block.size());
    out.insert(out.end(), block.begin(), block.begin() + static_cast<std::ptrdiff_t>(got));
  }
  dsp::VoiceShift shift(dsp::Layout::kLpcnet36);
  shift.set(5.0f, 0.0f);
  for (std::size_t i = 0; i < n; ++i) shift.apply(frames.data() + i * 36);
  Stream stream(model, 0, 100);
  stream.push(frames.data(), n, 36);
  stream.flush();
  std::vector<float> wanted(16000);
  stream.pull(wanted.data(), wanted.size());
  EXPECT_EQ(out, wanted);
}

// Clocks 200 parts per million apart, five minutes of them, callbacks that come up to 2 ms late: no
// underrun, nothing dropped, the same delay at the end.
TEST(LiveEngine, TwoClocksStayTogether) {
  const Model model(data("tree_sparse.int8.gguf"));
  LiveSettings s = settings();
  s.bypass = s.two_clocks = true;
  s.margin = 0.01;
  auto engine = open(model, s);
  ASSERT_NE(engine, nullptr);
  double time = 0.0;
  engine->set_clock(&time);
  const std::vector<float> x(160, 0.1f);
  std::vector<float> out(160);
  const double period[2] = {0.01, 0.01 * (1.0 + 200e-6)};
  double due[2] = {0.0, 0.0037};
  std::uint32_t noise = 1;
  double early = 0.0, late = 0.0;  // sums of delays over five seconds
  std::uint64_t dropped = 0;
  pyvoc_live_stats stats{};
  while (due[1] < 300.0) {
    const int side = due[0] < due[1] ? 0 : 1;
    noise = noise * 1664525u + 1013904223u;
    time = std::max(time, due[side] + 0.002 * (noise >> 8) / 16777216.0);
    due[side] += period[side];
    if (side == 0) {
      engine->write(x.data(), x.size());
      work(*engine);
    } else {
      engine->read(out.data(), out.size());
      engine->get_stats(stats);
      if (due[1] < 2.0) dropped = stats.dropped_frames;
      if (due[1] > 2.0 && due[1] < 7.0) early += stats.delay;
      if (due[1] > 295.0) late += stats.delay;
    }
  }
  EXPECT_EQ(stats.underruns, 0u);
  EXPECT_EQ(stats.dropped_frames, dropped);  // none but at the start
  EXPECT_NEAR(stats.clock_factor, 1.0 - 200e-6, 30e-6);
  EXPECT_NEAR(late / 500.0, early / 500.0, 0.001);
}

TEST(LiveEngine, OptionsAreChecked) {
  const Model model(data("tree_sparse.int8.gguf"));
  const Model mel(data("melgan/odd.f32.gguf"));
  const auto refused = [](const Model& m, auto change, const char* word) {
    pyvoc_live_options options = PYVOC_LIVE_OPTIONS_INIT;
    change(options);
    pyvoc_live* live = nullptr;
    EXPECT_NE(pyvoc_live_open(m.get(), &options, &live), PYVOC_OK) << word;
    EXPECT_NE(std::string(pyvoc_last_error()).find(word), std::string::npos) << pyvoc_last_error();
    EXPECT_EQ(live, nullptr);
  };
  refused(model, [](auto& o) { o.input_rate = 3999; }, "3999");
  refused(model, [](auto& o) { o.output_rate = 500000; }, "500000");
  refused(model, [](auto& o) { o.input_channels = 65; }, "65");
  refused(model, [](auto& o) { o.block = 70000; }, "block");
  refused(model, [](auto& o) { o.chunk_frames = 33; }, "chunk_frames");
  refused(model, [](auto& o) { o.threads = 65; }, "threads");
  refused(model, [](auto& o) { o.margin = NAN; }, "margin");
  refused(model, [](auto& o) { o.pitch = 25.0f; }, "pitch");
  refused(model, [](auto& o) { o.formant = NAN; }, "formant");
  refused(model, [](auto& o) { o.flags = 1u << 20; }, "flags");
  refused(model, [](auto& o) { o.flags = PYVOC_LIVE_FEATURES | PYVOC_LIVE_BYPASS; }, "bypass");
  refused(model, [](auto& o) { o.struct_size = 0; }, "struct_size");
  refused(mel, [](auto& o) { o.formant = 1.0f; }, "mel");
  EXPECT_EQ(pyvoc_live_open(nullptr, nullptr, nullptr), PYVOC_ERROR_ARGUMENT);
  EXPECT_EQ(pyvoc_live_start(nullptr), PYVOC_ERROR_ARGUMENT);
  EXPECT_EQ(pyvoc_live_read(nullptr, nullptr, 3), 0u);
  EXPECT_EQ(pyvoc_live_write(nullptr, nullptr, 3), 0u);
  EXPECT_EQ(pyvoc_live_portaudio(nullptr, nullptr, 3, nullptr, 0, nullptr), 0);
  pyvoc_live_close(nullptr);
}

// The real thread, paced by this test as a sound card would: what comes out is speech, whole.
TEST(LiveEngine, RunsOnItsThread) {
  const Model model(data("tree_sparse.int8.gguf"));
  pyvoc_live_options options = PYVOC_LIVE_OPTIONS_INIT;
  options.flags = PYVOC_LIVE_TAP;
  options.margin = 0.1f;  // this test's own pace is not a sound card's
  Live live(model, options);
  live.start();
  EXPECT_EQ(pyvoc_live_start(live.get()), PYVOC_ERROR_STATE);
  const std::vector<float> x = speech(16000, 16000.0);
  std::vector<float> out(x.size());
  auto next = std::chrono::steady_clock::now();
  for (std::size_t at = 0; at < x.size(); at += 160) {
    EXPECT_EQ(pyvoc_live_portaudio(x.data() + at, out.data() + at, 160, nullptr, at == 160 ? 5 : 0,
                                   live.get()),
              0);
    std::this_thread::sleep_until(next += std::chrono::milliseconds(10));
  }
  const pyvoc_live_stats stats = live.stats();
  EXPECT_EQ(stats.input_frames, 16000u);
  EXPECT_EQ(stats.output_frames, 16000u);
  EXPECT_EQ(stats.callbacks, 100u);
  EXPECT_EQ(stats.input_xruns, 1u);
  EXPECT_EQ(stats.output_xruns, 1u);
  EXPECT_EQ(stats.underruns, 0u);
  EXPECT_GT(stats.output_level, 0.001f);
  EXPECT_GT(stats.times_real_time, 1.0);
  EXPECT_GT(stats.response.count, 80u);
  EXPECT_GT(stats.response.most, stats.work.p50);
  EXPECT_GT(stats.cpu_seconds, 0.0);
  std::vector<float> tapped(20000);
  ASSERT_EQ(live.tap_input(tapped.data(), tapped.size()), 16000u);
  EXPECT_TRUE(std::equal(x.begin(), x.end(), tapped.begin()));
  ASSERT_EQ(live.tap_output(tapped.data(), tapped.size()), 16000u);
  EXPECT_TRUE(std::equal(out.begin(), out.end(), tapped.begin()));
}

}  // namespace
}  // namespace pyvoc::testing
