// The container's reader: what it reads, and the sentence for everything that it refuses.
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <limits>
#include <string>

#include "gguf_builder.h"
#include "io/gguf.h"

#ifndef _WIN32
#include <sys/stat.h>
#include <unistd.h>
#endif

namespace pyvoc::io {
namespace {

using test::AlignedCopy;
using test::Bytes;
using test::GgufBuilder;

constexpr std::uint32_t kU32 = 4, kF32 = 6, kBool = 7, kString = 8, kArray = 9;
constexpr std::size_t kLarge = 20000;  // values

Result<std::shared_ptr<const Gguf>> parse(const AlignedCopy& copy) {
  return Gguf::from_memory(copy.data(), copy.size(), "tiny.gguf");
}

// The file is refused with kModel, naming the file and saying `expected`.
void expect_refused(const std::string& bytes, const std::string& expected) {
  const AlignedCopy copy(bytes);
  const auto result = parse(copy);
  ASSERT_FALSE(result.ok()) << "accepted, expected: " << expected;
  EXPECT_EQ(result.status().code(), Code::kModel);
  EXPECT_EQ(result.status().message().rfind("tiny.gguf: ", 0), 0u) << result.status().message();
  EXPECT_NE(result.status().message().find(expected), std::string::npos)
      << result.status().message() << "\n  lacks: " << expected;
}

GgufBuilder two_tensors() {
  GgufBuilder b;
  b.entry("general.architecture", kString, Bytes().text("pyvoc.test"));
  b.tensor("a", {3, 2}, 0, 0).tensor("b", {5}, 24, 32);
  b.payload.assign(64, '\0');
  const float values[6] = {1, 2, 3, 4, 5, 6};
  std::memcpy(b.payload.data(), values, sizeof(values));
  b.payload.replace(32, 5, "\x01\x02\x03\x04\xff");
  return b;
}

TEST(Gguf, ReadsTensorsOutermostDimensionFirst) {
  const AlignedCopy copy(two_tensors().build());
  const auto result = parse(copy);
  ASSERT_TRUE(result.ok()) << result.status().message();
  const Gguf& file = *result.value();
  ASSERT_EQ(file.tensors().size(), 2u);
  const Tensor* a = file.find_tensor("a");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a->shape, (std::vector<std::size_t>{2, 3}));
  EXPECT_EQ(a->type, TensorType::kF32);
  EXPECT_EQ(a->elements, 6u);
  float last = 0;
  std::memcpy(&last, a->data + 5 * sizeof(float), sizeof(float));
  EXPECT_EQ(last, 6.0f);
  const Tensor* b = file.find_tensor("b");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(static_cast<std::int8_t>(b->data[4]), -1);
  EXPECT_EQ(file.find_tensor("c"), nullptr);
  EXPECT_EQ(file.find_tensor(""), nullptr);
}

TEST(Gguf, ReadsEveryKindOfMetadata) {
  GgufBuilder b;
  b.entry("u8", 0, Bytes().number<std::uint8_t>(200));
  b.entry("i8", 1, Bytes().number<std::int8_t>(-5));
  b.entry("u16", 2, Bytes().number<std::uint16_t>(60000));
  b.entry("i16", 3, Bytes().number<std::int16_t>(-6));
  b.entry("u32", kU32, Bytes().number<std::uint32_t>(4000000000u));
  b.entry("i32", 5, Bytes().number<std::int32_t>(-7));
  b.entry("f32", kF32, Bytes().number(0.5f));
  b.entry("bool", kBool, Bytes().number<std::uint8_t>(1));
  b.entry("text", kString, Bytes().text("gr\xc3\xbc\xc3\x9f"));
  b.entry("array", kArray, Bytes().number(kString).number<std::uint64_t>(2).text("x").text(""));
  b.entry("u64", 10, Bytes().number(std::numeric_limits<std::uint64_t>::max()));
  b.entry("i64", 11, Bytes().number<std::int64_t>(-8));
  b.entry("f64", 12, Bytes().number(0.1));
  const AlignedCopy copy(b.build());
  const auto result = parse(copy);
  ASSERT_TRUE(result.ok()) << result.status().message();
  const Gguf& file = *result.value();
  EXPECT_EQ(file.get_uint("u8").value(), 200u);
  EXPECT_EQ(file.get_uint("u16").value(), 60000u);
  EXPECT_EQ(file.get_uint("u32").value(), 4000000000u);
  EXPECT_EQ(file.get_uint("u64").value(), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(file.find("i8")->i, -5);
  EXPECT_EQ(file.find("i16")->i, -6);
  EXPECT_EQ(file.find("i32")->i, -7);
  EXPECT_EQ(file.find("i64")->i, -8);
  EXPECT_EQ(file.get_float("f32").value(), 0.5);
  EXPECT_EQ(file.get_float("f64").value(), 0.1);
  EXPECT_TRUE(file.get_bool("bool").value());
  EXPECT_EQ(file.get_string("text").value(), "gr\xc3\xbc\xc3\x9f");
  ASSERT_EQ(file.find("array")->array.size(), 2u);
  EXPECT_EQ(file.find("array")->array[0].s, "x");
  EXPECT_EQ(file.metadata().front().first, "u8");
  EXPECT_EQ(file.find("absent"), nullptr);
}

TEST(Gguf, TypedAccessNamesFileKeyAndBothTypes) {
  const AlignedCopy copy(GgufBuilder().entry("k", kU32, Bytes().number<std::uint32_t>(1)).build());
  const auto result = parse(copy);
  ASSERT_TRUE(result.ok());
  const auto wrong = result.value()->get_string("k");
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.status().message(),
            "tiny.gguf: metadata 'k' is of type unsigned integer, expected string");
  EXPECT_EQ(result.value()->get_bool("x").status().message(),
            "tiny.gguf: metadata 'x' (bool) is missing");
}

TEST(Gguf, RefusesWhatIsNotVersion3) {
  expect_refused("", "empty");
  expect_refused("RIFFxxxxxxxxxxxxxxxxxxxx", "does not begin with 'GGUF'");
  expect_refused("GGU", "does not begin with 'GGUF'");
  GgufBuilder b = two_tensors();
  b.version = 4;
  expect_refused(b.build(), "GGUF version 4; this pyvoc reads version 3");
  b.version = 2;
  expect_refused(b.build(), "GGUF version 2");
  b.version = 0x03000000;
  expect_refused(b.build(), "big-endian");
}

TEST(Gguf, RefusesEveryTruncation) {
  const std::string whole = two_tensors().build();
  const std::size_t needed = whole.size() - 32 + 5;  // the padding after the last tensor is free
  for (std::size_t n = 0; n < whole.size(); ++n) {
    const AlignedCopy copy(whole.substr(0, n));
    EXPECT_EQ(parse(copy).ok(), n >= needed) << n;
  }
}

TEST(Gguf, RefusesCountsBeyondTheFile) {
  std::string bytes = two_tensors().build();
  const std::uint64_t huge = std::numeric_limits<std::uint64_t>::max();
  std::string tensors = bytes, entries = bytes, key = bytes;
  std::memcpy(&tensors[8], &huge, 8);
  expect_refused(tensors, "more than its");
  std::memcpy(&entries[16], &huge, 8);
  expect_refused(entries, "more than its");
  std::memcpy(&key[24], &huge, 8);
  expect_refused(key, "the key of metadata entry 0");
  GgufBuilder b;
  b.entry("s", kString, Bytes().number(huge));
  expect_refused(b.build(), "longer than the file");
  b = GgufBuilder();
  b.entry("a", kArray, Bytes().number(kU32).number(huge));
  expect_refused(b.build(), "more than the file can hold");
}

TEST(Gguf, RefusesBadMetadata) {
  const auto refused = [](const std::string& key, std::uint32_t type, const Bytes& value,
                          const std::string& expected) {
    GgufBuilder b = two_tensors();
    b.entry(key, type, value);
    expect_refused(b.build(), expected);
  };
  refused("general.architecture", kU32, Bytes().number<std::uint32_t>(1), "occurs twice");
  refused("k", 13, Bytes().number<std::uint32_t>(1), "unknown type 13");
  refused("k", kBool, Bytes().number<std::uint8_t>(2), "bool of value 2");
  refused("k", kString, Bytes().text("a\xff"), "not UTF-8");
  refused("k", kString, Bytes().text(std::string("a\0b", 3)), "not UTF-8");
  refused("k", kString, Bytes().text("\xed\xa0\x80"), "not UTF-8");      // surrogate
  refused("k", kString, Bytes().text("\xc0\xaf"), "not UTF-8");          // overlong
  refused("k", kString, Bytes().text("\xf4\x90\x80\x80"), "not UTF-8");  // beyond U+10FFFF
  refused("k", kString, Bytes().text("\xe2\x82"), "not UTF-8");          // cut short
  refused("", kU32, Bytes().number<std::uint32_t>(1), "the key of metadata entry 1");
  refused("a\nb", kU32, Bytes().number<std::uint32_t>(1), "the key of metadata entry 1");
  refused(std::string(256, 'k'), kU32, Bytes().number<std::uint32_t>(1), "the key of metadata");
  refused("k", kArray, Bytes().number(kArray).number<std::uint64_t>(1), "array of arrays");
  Bytes many;
  many.number<std::uint32_t>(0).number<std::uint64_t>(70000).raw(std::string(70000, 'x'));
  refused("k", kArray, many, "array of 70000 values");
}

TEST(Gguf, RefusesBadAlignment) {
  for (std::uint32_t value : {0u, 1u, 4u, 48u, 1u << 21}) {
    GgufBuilder b = two_tensors();
    b.entry("general.alignment", kU32, Bytes().number(value));
    expect_refused(b.build(), "'general.alignment' is not a power of two");
  }
  GgufBuilder b = two_tensors();
  b.entry("general.alignment", kString, Bytes().text("64"));
  expect_refused(b.build(), "'general.alignment' is not a power of two");
  b = two_tensors();
  b.alignment = 64;
  b.entry("general.alignment", kU32, Bytes().number<std::uint32_t>(64));
  expect_refused(b.build(), "tensor 'b' begins at offset 32, which is not aligned to 64");
}

TEST(Gguf, RefusesBadTensors) {
  const auto refused = [](const std::string& name, std::vector<std::uint64_t> dims,
                          std::uint32_t type, std::uint64_t offset, const std::string& expected) {
    GgufBuilder b = two_tensors();
    b.tensor(name, std::move(dims), type, offset);
    b.payload.resize(128);
    expect_refused(b.build(), expected);
  };
  constexpr std::uint64_t kHuge = std::numeric_limits<std::uint64_t>::max();
  refused("a", {4}, 0, 64, "tensor 'a' occurs twice");
  refused("", {4}, 0, 64, "the name of tensor 2");
  refused(std::string(64, 'n'), {4}, 0, 64, "the name of tensor 2");
  refused("n\x7f", {4}, 0, 64, "the name of tensor 2");
  refused("c", {}, 0, 64, "0 dimensions");
  refused("c", {1, 1, 1, 1, 1}, 0, 64, "5 dimensions");
  refused("c", {4, 0}, 0, 64, "dimension of size 0");
  refused("c", {kHuge, kHuge}, 0, 64, "more elements than the file");
  refused("c", {std::uint64_t{1} << 32, std::uint64_t{1} << 32}, 24, 64, "more elements");
  refused("c", {100}, 0, 64, "more bytes than the file");
  refused("c", {4}, 1, 64, "element type 1; pyvoc reads F32");
  refused("c", {4}, 0, 65, "not aligned");
  refused("c", {4}, 0, kHuge - 31, "after the end of the file");
  refused("c", {16}, 0, 96, "truncated: tensor 'c' needs 64 bytes");
  refused("c", {4}, 0, 32, "overlap");
  refused("c", {4}, 0, 0, "overlap");
}

TEST(Gguf, AcceptsAGapAndAnyOrderInTheData) {
  GgufBuilder b;
  b.tensor("late", {2}, 30, 96).tensor("early", {2, 2, 2, 2}, 25, 32);
  b.payload.resize(128);
  const AlignedCopy copy(b.build());
  const auto result = parse(copy);
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(result.value()->tensors()[0].name, "late");
  EXPECT_EQ(result.value()->find_tensor("early")->elements, 16u);
  EXPECT_EQ(std::string(type_name(result.value()->find_tensor("early")->type)), "I16");
}

TEST(Gguf, ManyTensorsAreCheckedInReasonableTime) {
  constexpr std::uint64_t kCount = 200000;
  GgufBuilder b;
  for (std::uint64_t i = 0; i < kCount; ++i) {
    b.tensor("a.long.common.prefix." + std::to_string(i), {1}, 24, 32 * (kCount - 1 - i));
  }
  b.payload.resize(32 * kCount);
  const AlignedCopy copy(b.build());
  const auto begin = std::chrono::steady_clock::now();
  const auto result = parse(copy);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(result.value()->tensors().size(), kCount);
  EXPECT_NE(result.value()->find_tensor("a.long.common.prefix.77"), nullptr);
  EXPECT_LT(took.count(), 60.0);  // quadratic checks would take hours, also when emulated
}

TEST(Gguf, MemoryMayBeginAnywhere) {
  const AlignedCopy copy(two_tensors().build());
  for (std::size_t shift : {1, 2, 7, 8}) {
    std::vector<std::byte> shifted(copy.size() + shift);
    std::memcpy(shifted.data() + shift, copy.data(), copy.size());
    const auto result = Gguf::from_memory(shifted.data() + shift, copy.size());
    ASSERT_TRUE(result.ok()) << result.status().message();
    for (const Tensor& tensor : result.value()->tensors()) {
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor.data) % 8, 0u) << tensor.name;
    }
  }
  EXPECT_EQ(Gguf::from_memory(nullptr, 8).status().code(), Code::kArgument);
}

class GgufFile : public ::testing::Test {
 protected:
  std::string path_ = ::testing::TempDir() + "pyvoc_gguf_" +
                      ::testing::UnitTest::GetInstance()->current_test_info()->name() + ".gguf";
  void write(const std::string& bytes) {
    std::ofstream file(path_, std::ios::binary);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    ASSERT_TRUE(file.good());
  }
  void TearDown() override { std::remove(path_.c_str()); }
  void expect_error(Code code, const std::string& expected) {
    const auto result = Gguf::open(path_);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.status().code(), code);
    EXPECT_EQ(result.status().message().rfind(path_ + ": ", 0), 0u) << result.status().message();
    EXPECT_NE(result.status().message().find(expected), std::string::npos)
        << result.status().message();
  }
};

GgufBuilder large_tensors() {  // of many pages
  GgufBuilder b;
  b.tensor("a", {kLarge}, 0, 0).tensor("b", {kLarge}, 0, kLarge * sizeof(float));
  b.payload.resize(2 * kLarge * sizeof(float));
  for (std::size_t i = 0; i < 2 * kLarge; ++i) {
    const float value = static_cast<float>(i);
    std::memcpy(&b.payload[i * sizeof(float)], &value, sizeof(float));
  }
  return b;
}

const float* values_of(const Gguf& file, const char* tensor) {
  return reinterpret_cast<const float*>(file.find_tensor(tensor)->data);
}

TEST_F(GgufFile, KeepsTheOthersWhenATensorIsForgotten) {
  write(large_tensors().build());
  const auto result = Gguf::open(path_);
  ASSERT_TRUE(result.ok()) << result.status().message();
  const float *a = values_of(*result.value(), "a"), *b = values_of(*result.value(), "b");
  for (std::size_t i = 0; i < kLarge; ++i) ASSERT_EQ(a[i], static_cast<float>(i));
  result.value()->forget(a);
  result.value()->forget(nullptr);
  result.value()->forget(&path_);  // none of the file's
  for (std::size_t i = 0; i < kLarge; ++i) ASSERT_EQ(b[i], static_cast<float>(kLarge + i));
}

#ifndef _WIN32
// `cp new.gguf voice.gguf` cuts the file before it writes: a mapped one would end the process.
TEST_F(GgufFile, SurvivesTheFileBeingCut) {
  write(large_tensors().build());
  const auto result = Gguf::open(path_);
  ASSERT_TRUE(result.ok()) << result.status().message();
  ASSERT_EQ(truncate(path_.c_str(), 0), 0);
  const float* b = values_of(*result.value(), "b");
  for (std::size_t i = 0; i < kLarge; ++i) ASSERT_EQ(b[i], static_cast<float>(kLarge + i));
}

TEST_F(GgufFile, RefusesWhatNoModelIsAsLargeAs) {
  write("GGUF");
  ASSERT_EQ(truncate(path_.c_str(), off_t{200} << 30), 0);
  expect_error(Code::kIo, "has 214748364800 bytes, at most 8589934592 are read");
  write("zero");
  ASSERT_EQ(truncate(path_.c_str(), off_t{200} << 30), 0);
  expect_error(Code::kModel, "does not begin with 'GGUF'");
}
#endif

TEST_F(GgufFile, OpensAndStaysValidAfterTheNameIsGone) {
  write(two_tensors().build());
  auto result = Gguf::open(path_);
  ASSERT_TRUE(result.ok()) << result.status().message();
  std::remove(path_.c_str());
  const std::shared_ptr<const Gguf> file = result.value();
  EXPECT_EQ(file->name(), path_);
  float first = 0;
  std::memcpy(&first, file->find_tensor("a")->data, sizeof(first));
  EXPECT_EQ(first, 1.0f);
}

TEST_F(GgufFile, SaysWhatTheSystemRefused) {
  expect_error(Code::kIo, "cannot be opened");
  write("");
  expect_error(Code::kModel, "empty");
  write("this is no model at all, whatever its name says");
  expect_error(Code::kModel, "does not begin with 'GGUF'");
}

#ifndef _WIN32
TEST_F(GgufFile, RefusesFoldersPipesAndForbiddenFiles) {
  ASSERT_EQ(mkdir(path_.c_str(), 0700), 0);
  expect_error(Code::kIo, "is a directory");
  rmdir(path_.c_str());
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  expect_error(Code::kIo, "not a regular file");
  std::remove(path_.c_str());
  write(two_tensors().build());
  ASSERT_EQ(chmod(path_.c_str(), 0), 0);
  if (access(path_.c_str(), R_OK) != 0) expect_error(Code::kIo, "Permission denied");
}
#endif

}  // namespace
}  // namespace pyvoc::io
