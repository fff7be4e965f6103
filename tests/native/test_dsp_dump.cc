// dump_files: sizes, determinism, what is refused, and that outputs are complete or absent.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/atomic_file.h"
#include "dsp/dump_files.h"

namespace pyvoc::dsp {
namespace {

namespace fs = std::filesystem;

class Dump : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    // Two runs of the tests at a time must not share a folder.
    const auto tag = std::random_device{}();
    folder_ = fs::temp_directory_path() /
              (std::string("pyvoc_dump_") + info->name() + "_" + std::to_string(tag));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string path(const char* name) const { return (folder_ / name).string(); }
  std::string write(const char* name, const std::string& bytes) const {
    std::ofstream(path(name), std::ios::binary) << bytes;
    return path(name);
  }
  std::string speech(const char* name, int samples, double amplitude) const {
    std::string bytes;
    for (int i = 0; i < samples; ++i) {
      const auto v =
          static_cast<std::int16_t>(std::lround(amplitude * std::sin(0.07 * i * (1 + i % 3))));
      bytes.push_back(static_cast<char>(v & 255));
      bytes.push_back(static_cast<char>(v >> 8));
    }
    return write(name, bytes);
  }
  static std::string read(const std::string& name) {
    std::ifstream in(name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }

  fs::path folder_;
};

TEST_F(Dump, TestModeWritesOneRowPerFrame) {
  const std::string in = speech("in.s16", 160 * 11 + 50, 4000.0);
  DumpOptions options;
  auto report = dump_test(in, path("a.f32"), options);
  ASSERT_TRUE(report.ok()) << report.status().message();
  EXPECT_EQ(report.value().rows, 11u);
  EXPECT_EQ(fs::file_size(path("a.f32")), 11u * 36 * 4);
  options.recipe = Recipe::k2019;
  report = dump_test(in, path("b.f32"), options);
  ASSERT_TRUE(report.ok()) << report.status().message();
  EXPECT_EQ(fs::file_size(path("b.f32")), 8u * 55 * 4) << "rows come in fours";
}

TEST_F(Dump, ASeedFixesTheBytes) {
  const std::string in = speech("in.s16", 160 * 40, 4000.0);
  DumpOptions options;
  options.frames = 3000;  // beyond the first change of gain
  std::string features[3], data[3];
  for (int i = 0; i < 3; ++i) {
    options.seed = i == 2 ? 8 : 7;
    ASSERT_TRUE(dump_train(in, path("f"), path("d"), options).ok());
    features[i] = read(path("f"));
    data[i] = read(path("d"));
  }
  EXPECT_EQ(features[0].size(), 3000u * 36 * 4);
  EXPECT_EQ(data[0].size(), 3000u * 640);
  EXPECT_TRUE(features[0] == features[1] && data[0] == data[1]);
  EXPECT_FALSE(features[0] == features[2] || data[0] == data[2]);
}

TEST_F(Dump, TrainingGoesRoundAndFinishesThePass) {
  const std::string in = speech("in.s16", 160 * 40, 4000.0);
  DumpOptions options;
  options.frames = 1;
  const auto once = dump_train(in, path("f"), path("d"), options);
  ASSERT_TRUE(once.ok());
  EXPECT_EQ(once.value().frames, 40u) << "one pass at least";
  options.frames = 90;
  const auto thrice = dump_train(in, path("f"), path("d"), options);
  ASSERT_TRUE(thrice.ok());
  EXPECT_EQ(thrice.value().frames, 90u);
  EXPECT_EQ(thrice.value().passes, 3u);
}

TEST_F(Dump, CleanChannelIsTheSignalItself) {
  // Before the first change of gain the second channel is high-passed, pre-emphasised and dithered
  // speech, half a frame late: quiet input leaves the dither alone.
  const std::string in = speech("in.s16", 160 * 50, 0.0);
  DumpOptions options;
  options.frames = 50;
  ASSERT_TRUE(dump_train(in, path("f"), path("d"), options).ok());
  const std::string data = read(path("d"));
  ASSERT_EQ(data.size(), 50u * 640);
  for (std::size_t i = 0; i < data.size(); i += 4) {
    const int clean = static_cast<std::int16_t>(static_cast<std::uint8_t>(data[i + 2]) |
                                                static_cast<std::uint8_t>(data[i + 3]) << 8);
    ASSERT_LE(std::abs(clean), 1);
  }
}

TEST_F(Dump, RefusesBadInputAndLeavesNothing) {
  const DumpOptions options;
  DumpOptions old = options;
  old.recipe = Recipe::k2019;
  const std::string good = speech("good.s16", 1600, 1000.0);
  write("empty.s16", "");
  write("odd.s16", std::string(1601, 'x'));
  write("short.s16", std::string(318, 'x'));
  write("wav.s16", "RIFF" + std::string(4000, 'x'));
  speech("silent.s16", 16000, 1.0);
  speech("three.s16", 480, 1000.0);
  const std::size_t before = files();
  for (const char* name : {"empty.s16", "odd.s16", "short.s16", "wav.s16"}) {
    for (const auto& result : {dump_test(path(name), path("out"), options),
                               dump_train(path(name), path("out"), path("out2"), options)}) {
      ASSERT_FALSE(result.ok()) << name;
      EXPECT_EQ(result.status().code(), Code::kAudio) << name;
      EXPECT_NE(result.status().message().find(name), std::string::npos);
    }
  }
  EXPECT_EQ(dump_train(path("silent.s16"), path("out"), path("out2"), old).status().code(),
            Code::kAudio);
  EXPECT_EQ(dump_test(path("three.s16"), path("out"), old).status().code(), Code::kAudio);
  EXPECT_EQ(dump_test(path("absent"), path("out"), options).status().code(), Code::kIo);
  EXPECT_EQ(dump_test(folder_.string(), path("out"), options).status().code(), Code::kIo);
  EXPECT_EQ(dump_test(good, folder_.string(), options).status().code(), Code::kIo);
  EXPECT_EQ(dump_test(good, path("no/such/folder"), options).status().code(), Code::kIo);
  EXPECT_EQ(dump_test(good, good, options).status().code(), Code::kArgument);
  EXPECT_EQ(dump_train(good, path("x"), path("x"), options).status().code(), Code::kArgument);
  EXPECT_EQ(dump_train(good, path("x"), "", options).status().code(), Code::kArgument);
  EXPECT_EQ(files(), before);
}

TEST_F(Dump, GivingUpLeavesTheOldOutput) {
  const std::string in = speech("in.s16", 160 * 40, 4000.0);
  write("f", "old");
  DumpOptions options;
  options.frames = 100000;
  options.progress = [](std::uint64_t, std::uint64_t) { throw std::runtime_error("enough"); };
  EXPECT_THROW(static_cast<void>(dump_train(in, path("f"), path("d"), options)),
               std::runtime_error);
  EXPECT_EQ(read(path("f")), "old");
  EXPECT_EQ(files(), 2u);
}

#if defined(__linux__)
TEST_F(Dump, AFullDiskIsReported) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  const std::string in = speech("in.s16", 160 * 400, 4000.0);
  const auto result = dump_test(in, "/dev/full", DumpOptions());
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.status().code(), Code::kIo);
  EXPECT_NE(result.status().message().find("/dev/full"), std::string::npos);
}

TEST_F(Dump, AFullDiskAtTheEndLeavesNeitherOfTwoFiles) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  const std::string in = speech("in.s16", 160 * 10, 4000.0);  // few rows: written at the end
  DumpOptions options;
  options.frames = 10;
  const auto result = dump_train(in, "/dev/full", path("d"), options);
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.status().message().find("No space left"), std::string::npos);
  EXPECT_EQ(files(), 1u) << "only the input";
}
#endif

}  // namespace
}  // namespace pyvoc::dsp
