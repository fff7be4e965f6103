// What is wrong with a model file's metadata: everything in one sentence, with what was expected.
#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <string>

#include "gguf_builder.h"
#include "io/gguf.h"
#include "models/mel_features.h"
#include "models/problems.h"

namespace pyvoc::models {
namespace {

using test::AlignedCopy;
using test::Bytes;
using test::GgufBuilder;

constexpr std::uint32_t kU32 = 4, kF32 = 6, kBool = 7, kString = 8;
constexpr const char* kColours[] = {"red", "green"};

class ProblemsTest : public testing::Test {
 protected:
  const io::Gguf& file(const GgufBuilder& builder) {
    copy_ = std::make_unique<AlignedCopy>(builder.build());
    auto parsed = io::Gguf::from_memory(copy_->data(), copy_->size(), "tiny.gguf");
    EXPECT_TRUE(parsed.ok()) << parsed.status().message();
    file_ = parsed.value();
    return *file_;
  }
  static GgufBuilder mel() {
    GgufBuilder b;
    b.entry("pyvoc.spec_revision", kU32, Bytes().number<std::uint32_t>(2));
    b.entry("pyvoc.precision", kString, Bytes().text("f32"));
    b.entry("pyvoc.features.layout", kString, Bytes().text("mel"));
    b.entry("pyvoc.features.sample_rate", kU32, Bytes().number<std::uint32_t>(22050));
    b.entry("pyvoc.features.hop_length", kU32, Bytes().number<std::uint32_t>(256));
    b.entry("pyvoc.features.bands", kU32, Bytes().number<std::uint32_t>(80));
    b.entry("gain", kF32, Bytes().number(0.5f));
    b.entry("loud", kBool, Bytes().number<std::uint8_t>(1));
    b.entry("colour", kString, Bytes().text("green"));
    return b;
  }

 private:
  std::unique_ptr<AlignedCopy> copy_;
  std::shared_ptr<const io::Gguf> file_;
};

TEST_F(ProblemsTest, ReadsWhatIsRight) {
  Problems problems(file(mel()));
  MelConfig config;
  read_mel_config(problems, config);
  EXPECT_EQ(config.precision, "f32");
  EXPECT_EQ(config.sample_rate, 22050);
  EXPECT_EQ(config.hop_length, 256);
  EXPECT_EQ(config.bands, 80);
  EXPECT_EQ(problems.number("gain", 0.0, 1.0), 0.5f);
  EXPECT_TRUE(problems.flag("loud"));
  EXPECT_EQ(problems.choice("colour", kColours), 1);
  problems.expect("pyvoc.features.bands", 80);
  EXPECT_TRUE(problems.check_revision("test", 2).ok());
  EXPECT_TRUE(problems.none()) << problems.status().message();
}

TEST_F(ProblemsTest, BoundsBelongToTheRange) {
  Problems problems(file(mel()));
  EXPECT_EQ(problems.integer("pyvoc.features.bands", 80, 80), 80);
  EXPECT_EQ(problems.number("gain", 0.5, 0.5), 0.5f);
  EXPECT_TRUE(problems.none()) << problems.status().message();
}

TEST_F(ProblemsTest, ListsEverythingAtOnce) {
  Problems problems(file(mel()));
  EXPECT_EQ(problems.integer("pyvoc.features.bands", 1, 79), 0);
  EXPECT_EQ(problems.integer("pyvoc.features.hop_length", 257, 1000), 0);
  EXPECT_EQ(problems.number("gain", 1.0, 2.5), 0.0f);
  constexpr const char* kOthers[] = {"red", "blue"};
  EXPECT_EQ(problems.choice("colour", kOthers), 0);
  problems.expect("pyvoc.features.sample_rate", 16000);
  EXPECT_EQ(problems.dimension("a.weight", 0, 1, 10), 0);
  EXPECT_EQ(problems.status().code(), Code::kModel);
  EXPECT_EQ(problems.status().message(),
            "tiny.gguf: pyvoc.features.bands is 80, expected 1 to 79; "
            "pyvoc.features.hop_length is 256, expected 257 to 1000; "
            "gain is 0.5, expected 1 to 2.5; colour is \"green\", expected red or blue; "
            "pyvoc.features.sample_rate is 22050, expected 16000; tensor a.weight is missing");
}

TEST_F(ProblemsTest, AMissingEntryIsOne) {
  Problems problems(file(GgufBuilder()));
  MelConfig config;
  read_mel_config(problems, config);
  EXPECT_EQ(config.hop_length, 0);
  const std::string found = problems.status().message();
  for (const char* key : {"pyvoc.precision", "pyvoc.features.layout", "pyvoc.features.sample_rate",
                          "pyvoc.features.hop_length", "pyvoc.features.bands"}) {
    EXPECT_NE(found.find(key), std::string::npos) << found << "\n  lacks " << key;
  }
}

TEST_F(ProblemsTest, ANaNIsNoNumber) {
  GgufBuilder b;
  b.entry("gain", kF32, Bytes().number(std::numeric_limits<float>::quiet_NaN()));
  Problems problems(file(b));
  EXPECT_EQ(problems.number("gain", -1e30, 1e30), 0.0f);
  EXPECT_FALSE(problems.none());
}

TEST_F(ProblemsTest, ANewerRevisionIsUnsupported) {
  Problems problems(file(mel()));
  const Status status = problems.check_revision("test", 1);
  EXPECT_EQ(status.code(), Code::kUnsupported);
  EXPECT_NE(status.message().find("test spec revision 2 is newer"), std::string::npos);
}

}  // namespace
}  // namespace pyvoc::models
