// The real-time promise of pyvoc.h: between open and close, the functions marked [real-time] do not
// allocate, whatever they are given. Runs over the C ABI on every model of the test data.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "alloc_counter.h"
#include "api/handles.h"
#include "api/live_engine.h"
#include "pyvoc/pyvoc.hpp"

namespace pyvoc::testing {
namespace {

TEST(AllocCounter, SeesEveryWayToAllocate) {
  const auto count = [](auto allocate) {
    const Counting counting;
    allocate();
    return counting.calls();
  };
  // Through volatile pointers: a compiler may drop an allocation that nobody uses.
  EXPECT_EQ(count([] {}), 0);
  EXPECT_EQ(count([] {
              void* volatile p = std::malloc(100);
              std::free(p);
            }),
            2);
  EXPECT_EQ(count([] {
              void* volatile p = std::calloc(3, 100);
              p = std::realloc(p, 1000);
              std::free(p);
            }) >= 3,
            true);
  EXPECT_EQ(count([] {
              char* volatile p = new char[100];
              delete[] p;
            }),
            2);
  EXPECT_GE(count([] {
              void* volatile p = ::operator new(100, std::align_val_t{64});
              ::operator delete(p, std::align_val_t{64});
            }),
            2);
  EXPECT_GE(count([] { std::vector<float> v(1000, 1.0f); }), 2);
}

std::vector<std::string> models() {
  const char* given = std::getenv("PYVOC_TEST_DATA");
  std::vector<std::string> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(
           given != nullptr ? given : PYVOC_TEST_DATA, error)) {
    if (entry.path().extension() == ".gguf") found.push_back(entry.path().string());
  }
  std::sort(found.begin(), found.end());
  return found;
}

// Frames that differ from each other and lie within what every layout accepts.
std::vector<float> make_frames(std::size_t n, std::size_t dims) {
  std::vector<float> frames(n * dims);
  for (std::size_t i = 0; i < frames.size(); ++i) {
    frames[i] = 0.3f * std::sin(0.37f * static_cast<float>(i));
  }
  return frames;
}

TEST(TestData, HoldsModels) { EXPECT_FALSE(models().empty()) << "no *.gguf in the test data"; }

class Realtime : public ::testing::TestWithParam<std::string> {};

TEST_P(Realtime, StreamDoesNotAllocate) {
  const Model model(GetParam());
  const pyvoc_model_info info = model.info();
  constexpr std::size_t kFrames = 12;
  const std::vector<float> frames = make_frames(kFrames + 1, info.feature_dims);
  std::vector<float> bad(info.feature_dims, NAN), samples(kFrames * info.hop_length);
  const std::vector<float> draws(48, 0.25f);  // whole steps of every model
  Stream stream(model, 1, kFrames);
  const std::vector<float> past(info.prime_samples + 1);

  const Counting counting;
  std::size_t total = 0, n = 0;
  const auto prime = [&](std::size_t samples) {
    return pyvoc_stream_prime(stream.get(), past.data(), samples, frames.data(), kFrames,
                              info.feature_dims);
  };
  if (info.prime_samples == 0) {
    ASSERT_EQ(prime(0), PYVOC_ERROR_UNSUPPORTED);
  } else {
    ASSERT_EQ(prime(info.prime_samples - 1), PYVOC_ERROR_ARGUMENT);
    ASSERT_EQ(prime(info.prime_samples), PYVOC_OK);
    ASSERT_EQ(prime(info.prime_samples), PYVOC_ERROR_STATE);
    ASSERT_EQ(stream.available(), 0u);
    ASSERT_EQ(stream.try_push(frames.data(), 1, info.feature_dims), PYVOC_OK);
    ASSERT_EQ(stream.available(), info.hop_length);
    ASSERT_EQ(stream.try_flush(), PYVOC_OK);
    ASSERT_EQ(stream.available(), info.hop_length + info.latency_samples);
    ASSERT_EQ(stream.try_pull(samples.data(), samples.size(), &n), PYVOC_OK);
    ASSERT_EQ(n, info.hop_length + info.latency_samples);
    ASSERT_EQ(stream.try_reset(1), PYVOC_OK);
  }
  for (int round = 0; round < 2; ++round) {
    for (std::size_t i = 0; i < kFrames; ++i) {
      ASSERT_EQ(stream.try_push(frames.data() + i * info.feature_dims, 1, info.feature_dims),
                PYVOC_OK);
      ASSERT_EQ(stream.try_pull(samples.data(), 70, &n), PYVOC_OK);
      total += n;
    }
    ASSERT_EQ(stream.try_push(bad.data(), 1, info.feature_dims), PYVOC_ERROR_FEATURE);
    ASSERT_EQ(stream.try_push(frames.data(), kFrames + 1, info.feature_dims), PYVOC_ERROR_FULL);
    ASSERT_EQ(stream.try_flush(), PYVOC_OK);
    ASSERT_EQ(stream.try_push(frames.data(), 1, info.feature_dims), PYVOC_ERROR_STATE);
    do {
      ASSERT_EQ(stream.try_pull(samples.data(), samples.size(), &n), PYVOC_OK);
      total += n;
    } while (stream.available() > 0);
    ASSERT_GE(stream.latency_samples(), 0u);
    const pyvoc_status skipped = pyvoc_stream_skip(stream.get(), 5);
    ASSERT_EQ(skipped,
              info.architecture == std::string("wavernn") ? PYVOC_OK : PYVOC_ERROR_UNSUPPORTED);
    ASSERT_EQ(stream.try_reset(2), PYVOC_OK);
    const pyvoc_status given = pyvoc_stream_set_draws(stream.get(), draws.data(), draws.size());
    ASSERT_EQ(given, info.draws_per_sample > 0 ? PYVOC_OK : given);
  }
  EXPECT_EQ(counting.calls(), 0);
  EXPECT_EQ(total, 2 * kFrames * info.hop_length);
}

TEST_P(Realtime, StreamWithoutLookaheadDoesNotAllocate) {
  const Model model(GetParam());
  const pyvoc_model_info info = model.info();
  if (std::string(info.architecture) != "waveglow") GTEST_SKIP() << "cannot do with less";
  constexpr std::size_t kFrames = 12;
  const std::vector<float> frames = make_frames(kFrames, info.feature_dims);
  std::vector<float> samples(kFrames * info.hop_length);
  pyvoc_stream_options options = PYVOC_STREAM_OPTIONS_INIT;
  options.lookahead_given = 1;
  Stream stream(model, options);

  const Counting counting;
  std::size_t total = 0, n = 0;
  for (int round = 0; round < 2; ++round) {
    for (std::size_t i = 0; i < kFrames; ++i) {
      ASSERT_EQ(stream.try_push(frames.data() + i * info.feature_dims, 1, info.feature_dims),
                PYVOC_OK);
      ASSERT_EQ(stream.available(), info.hop_length);
      ASSERT_EQ(stream.try_pull(samples.data(), samples.size(), &n), PYVOC_OK);
      ASSERT_EQ(n, info.hop_length);
      total += n;
    }
    ASSERT_EQ(stream.try_flush(), PYVOC_OK);
    ASSERT_EQ(stream.available(), 0u);
    ASSERT_EQ(stream.latency_samples(), 0u);
    ASSERT_EQ(stream.try_reset(2), PYVOC_OK);
  }
  EXPECT_EQ(counting.calls(), 0);
  EXPECT_EQ(total, 2 * kFrames * info.hop_length);
}

TEST_P(Realtime, BatchDoesNotAllocate) {
  const Model model(GetParam());
  const pyvoc_model_info info = model.info();
  constexpr std::size_t kFrames = 6, kStreams = 5;
  const std::vector<float> frames = make_frames(kFrames, info.feature_dims);
  std::vector<Stream> streams;
  std::vector<std::vector<float>> buffers(kStreams, std::vector<float>(kFrames * info.hop_length));
  std::vector<pyvoc_stream*> handles;
  std::vector<float*> outputs;
  std::vector<std::size_t> written(kStreams);
  for (std::size_t i = 0; i < kStreams; ++i) {
    streams.emplace_back(model, i);
    handles.push_back(streams[i].get());
    outputs.push_back(buffers[i].data());
  }

  const Counting counting;
  for (std::size_t i = 0; i < kStreams; ++i) {
    // Uneven: the lockstep loses streams on the way.
    ASSERT_EQ(streams[i].try_push(frames.data(), kFrames - i, info.feature_dims), PYVOC_OK);
    ASSERT_EQ(streams[i].try_flush(), PYVOC_OK);
  }
  ASSERT_EQ(pyvoc_stream_pull_batch(handles.data(), kStreams, outputs.data(),
                                    kFrames * info.hop_length, written.data()),
            PYVOC_OK);
  EXPECT_EQ(counting.calls(), 0);
  for (std::size_t i = 0; i < kStreams; ++i) {
    EXPECT_EQ(written[i], (kFrames - i) * info.hop_length);
  }
}

// The callbacks' calls, with rates that want resampling, clocks to follow, and a stall.
TEST_P(Realtime, LiveCallbacksDoNotAllocate) {
  const Model model(GetParam());
  pyvoc_live_options options = PYVOC_LIVE_OPTIONS_INIT;
  options.flags = PYVOC_LIVE_TWO_CLOCKS | PYVOC_LIVE_TAP | PYVOC_LIVE_FORCE;
  options.input_rate = 48000;
  options.output_rate = 44100;
  options.input_channels = options.output_channels = 2;
  options.margin = 0.001f;
  Live live(model, options);
  live.start();
  std::vector<float> in(960), out(882), tap(4096);
  for (std::size_t i = 0; i < in.size(); ++i) in[i] = std::sin(0.05f * static_cast<float>(i));
  in[7] = NAN;
  pyvoc_live_stats stats{};
  stats.struct_size = sizeof stats;

  long calls = 0;
  for (int i = 0; i < 60; ++i) {
    {
      const Counting counting;
      pyvoc_live_portaudio(in.data(), out.data(), 441, nullptr, 0, live.get());
      if (i % 10 == 0) {  // more than there can be, and more than fits
        for (int k = 0; k < 8; ++k) live.write(in.data(), 480), live.read(out.data(), 441);
      }
      EXPECT_EQ(pyvoc_live_set_shift(live.get(), static_cast<float>(i % 5), 0.0f), PYVOC_OK);
      EXPECT_EQ(pyvoc_live_get_stats(live.get(), &stats), PYVOC_OK);
      live.tap_input(tap.data(), tap.size());
      calls += counting.calls();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  EXPECT_EQ(calls, 0);
  EXPECT_GT(stats.bad_samples, 0u);
  EXPECT_GT(stats.callbacks, 60u);
}

// What the engine's thread does, turned on this one.
TEST_P(Realtime, LiveEngineDoesNotAllocate) {
  const Model model(GetParam());
  api::LiveSettings settings;
  settings.input_rate = 48000.0;
  settings.output_rate = 44100.0;
  settings.block = 441;
  settings.two_clocks = settings.force = true;
  settings.pitch = 2.0f;
  const auto engine = api::LiveEngine::open(*model.get(), settings);
  ASSERT_TRUE(engine.ok()) << engine.status().message();
  std::vector<float> in(480), out(441);
  for (std::size_t i = 0; i < in.size(); ++i) in[i] = std::sin(0.05f * static_cast<float>(i));

  const Counting counting;
  for (int i = 0; i < 100; ++i) {
    engine.value()->write(in.data(), in.size());
    while (engine.value()->turn()) {
    }
    engine.value()->read(out.data(), out.size());
  }
  engine.value()->end_input();
  while (engine.value()->turn()) {
  }
  EXPECT_EQ(counting.calls(), 0);
}

// The same work on the caller's thread, through the C ABI.
TEST_P(Realtime, LivePathDoesNotAllocate) {
  const Model model(GetParam());
  pyvoc_live_path_options options = PYVOC_LIVE_PATH_OPTIONS_INIT;
  options.flags = PYVOC_LIVE_TWO_CLOCKS;
  options.input_rate = 48000;
  options.output_rate = 44100;
  LivePath path(model, options);
  std::vector<float> in(480), out(441);
  for (std::size_t i = 0; i < in.size(); ++i) in[i] = std::sin(0.05f * static_cast<float>(i));
  in[3] = NAN;
  std::size_t total = 0;
  pyvoc_live_path_info info{};
  info.struct_size = sizeof info;

  const Counting counting;
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 30; ++i) {
      path.push(in.data(), in.size());
      total += path.pull(out.data(), out.size());
      EXPECT_EQ(pyvoc_live_path_set_shift(path.get(), static_cast<float>(i % 5), 0.0f), PYVOC_OK);
      EXPECT_EQ(pyvoc_live_path_correct(path.get(), 1.001), PYVOC_OK);
    }
    path.finish();
    while (const std::size_t n = path.pull(out.data(), out.size())) total += n;
    EXPECT_EQ(pyvoc_live_path_get_info(path.get(), &info), PYVOC_OK);
    EXPECT_EQ(pyvoc_live_path_reset(path.get()), PYVOC_OK);
  }
  EXPECT_EQ(counting.calls(), 0);
  EXPECT_EQ(info.bad_samples, 30u);
  EXPECT_GT(total, 441u * 50);
}

INSTANTIATE_TEST_SUITE_P(Models, Realtime, ::testing::ValuesIn(models()),
                         [](const ::testing::TestParamInfo<std::string>& info) {
                           const std::filesystem::path path(info.param);
                           std::string name =
                               path.parent_path().filename().string() + "_" + path.stem().string();
                           for (char& c : name) {
                             if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
                           }
                           return name;
                         });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Realtime);

void expect_no_allocation(Extractor& extractor) {
  std::vector<float> pcm(4000);
  for (std::size_t i = 0; i < pcm.size(); ++i) pcm[i] = std::sin(0.05f * static_cast<float>(i));
  const std::size_t room = extractor.frames_after(pcm.size()) + 8;
  std::vector<float> frames(room * extractor.info().feature_dims);

  const Counting counting;
  std::size_t total = 0, n = 0;
  for (std::size_t at = 0; at < pcm.size(); at += 100) {
    ASSERT_EQ(pyvoc_extractor_push(extractor.get(), pcm.data() + at, 100, frames.data(), room, &n),
              PYVOC_OK);
    total += n;
  }
  ASSERT_EQ(pyvoc_extractor_flush(extractor.get(), frames.data(), room, &n), PYVOC_OK);
  ASSERT_EQ(pyvoc_extractor_reset(extractor.get()), PYVOC_OK);
  EXPECT_EQ(counting.calls(), 0);
  EXPECT_GT(total, 0u);
}

TEST_P(Realtime, ExtractorDoesNotAllocate) {
  const Model model(GetParam());
  Extractor extractor(model);
  expect_no_allocation(extractor);
}

class RealtimeExtractor : public ::testing::TestWithParam<const char*> {};

TEST_P(RealtimeExtractor, DoesNotAllocate) {
  Extractor extractor(GetParam());
  expect_no_allocation(extractor);
}

INSTANTIATE_TEST_SUITE_P(Layouts, RealtimeExtractor,
                         ::testing::Values("lpcnet36", "lpcnet20", "lpcnet55", "mel-nvidia",
                                           "mel-descript", "mel-fatchord", "mel-hifigan"),
                         [](const auto& info) {
                           std::string name = info.param;
                           name.erase(std::remove(name.begin(), name.end(), '-'), name.end());
                           return name;
                         });

TEST(RealtimeDenoiser, DoesNotAllocate) {
  std::vector<float> pcm(5000), samples(5000);
  for (std::size_t i = 0; i < pcm.size(); ++i) pcm[i] = std::sin(0.05f * static_cast<float>(i));
  Denoiser denoiser(denoiser_bias(pcm.data(), pcm.size()));

  const Counting counting;
  std::size_t total = 0, n = 0;
  for (int round = 0; round < 2; ++round) {
    for (std::size_t at = 0; at < pcm.size(); at += 100) {
      ASSERT_EQ(denoiser.try_push(pcm.data() + at, 100, samples.data(), samples.size(), &n),
                PYVOC_OK);
      total += n;
    }
    pcm[0] = NAN;
    ASSERT_EQ(denoiser.try_push(pcm.data(), 1, samples.data(), samples.size(), &n),
              PYVOC_ERROR_AUDIO);
    pcm[0] = 0.0f;
    ASSERT_EQ(denoiser.try_flush(samples.data(), 1, &n), PYVOC_ERROR_ARGUMENT);
    ASSERT_EQ(denoiser.try_flush(samples.data(), samples.size(), &n), PYVOC_OK);
    total += n;
    ASSERT_EQ(denoiser.try_push(pcm.data(), 1, samples.data(), samples.size(), &n),
              PYVOC_ERROR_STATE);
    ASSERT_EQ(pyvoc_denoiser_reset(denoiser.get()), PYVOC_OK);
  }
  EXPECT_EQ(counting.calls(), 0);
  EXPECT_EQ(total, 2 * pcm.size());
}

}  // namespace
}  // namespace pyvoc::testing
