// AtomicFile: names of any length, links, modes. What a full disk does is in test_dsp_dump.cc.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

#include "base/atomic_file.h"

#ifndef _WIN32
#include <sys/stat.h>

namespace pyvoc {
namespace {

namespace fs = std::filesystem;

class Atomic : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        fs::temp_directory_path() / ("pyvoc_atomic_" + std::to_string(std::random_device{}()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  Status put(const std::string& name, const std::string& text) const {
    AtomicFile file;
    if (Status s = file.open(path(name)); !s.ok()) return s;
    if (Status s = file.write(text.data(), text.size()); !s.ok()) return s;
    return file.commit();
  }
  std::string get(const std::string& name) const {
    std::ifstream file(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }
  long files() const {
    return std::distance(fs::directory_iterator(folder_), fs::directory_iterator());
  }

  fs::path folder_;
};

TEST_F(Atomic, NamesAreAsLongAsAFolderTakes) {
  const std::string name(255, 'x');
  ASSERT_TRUE(put(name, "text").ok());
  EXPECT_EQ(get(name), "text");
  EXPECT_EQ(files(), 1);
}

TEST_F(Atomic, LinksStayLinks) {
  ASSERT_TRUE(put("real", "before").ok());
  fs::create_symlink("real", folder_ / "link");
  fs::create_symlink("new", folder_ / "ahead");
  fs::create_symlink("circle", folder_ / "circle");
  ASSERT_TRUE(put("link", "after").ok());
  ASSERT_TRUE(put("ahead", "new").ok());
  EXPECT_TRUE(fs::is_symlink(folder_ / "link"));
  EXPECT_TRUE(fs::is_symlink(folder_ / "ahead"));
  EXPECT_EQ(get("real"), "after");
  EXPECT_EQ(get("new"), "new");
  EXPECT_EQ(files(), 5);
}

TEST_F(Atomic, KeepsTheMode) {
  ASSERT_TRUE(put("a", "before").ok());
  for (const mode_t mode : {0600u, 0664u, 0444u}) {
    ASSERT_EQ(chmod(path("a").c_str(), mode), 0);
    ASSERT_TRUE(put("a", "after").ok());
    struct stat info;
    ASSERT_EQ(stat(path("a").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, mode);
  }
}

TEST_F(Atomic, LeavesNothingWithoutCommit) {
  {
    AtomicFile file;
    ASSERT_TRUE(file.open(path("a")).ok());
    ASSERT_TRUE(file.write("text", 4).ok());
    EXPECT_EQ(files(), 1);
  }
  EXPECT_EQ(files(), 0);
}

}  // namespace
}  // namespace pyvoc
#endif
