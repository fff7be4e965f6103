// JSON is JSON whatever the program's locale is.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <clocale>
#include <cmath>
#include <cstdlib>
#include <string>

#include "api/json.h"

namespace pyvoc::api {
namespace {

std::string numbers() {
  JsonWriter json;
  json.open('[').value(0.85).value(-1.25e-7).value(3.0).value(1e300);
  json.value(std::nan("")).value(-INFINITY).value(1234567.5).close(']');
  return json.text();
}

constexpr const char* kNumbers = "[0.85, -1.25e-07, 3, 1e+300, null, null, 1234567.5]";

TEST(Json, Numbers) { EXPECT_EQ(numbers(), kNumbers); }

#ifndef _WIN32
// Locales made for the test: one with a comma, one whose decimal point has two bytes.
TEST(Json, NumbersUnderALocaleWithAnotherDecimalPoint) {
  const std::string folder = ::testing::TempDir() + "pyvoc_locales";
  int tried = 0;
  for (const std::string name : {"de_DE", "ps_AF"}) {
    const std::string full = name + ".UTF-8";
    const std::string command = "mkdir -p " + folder + " && localedef -c -i " + name +
                                " -f UTF-8 " + folder + "/" + full + " >/dev/null 2>&1";
    (void)!std::system(command.c_str());
    setenv("LOCPATH", folder.c_str(), 1);
    if (std::setlocale(LC_ALL, full.c_str()) != nullptr) {
      ++tried;
      char point[16];
      std::snprintf(point, sizeof point, "%.1f", 0.5);
      EXPECT_STRNE(point, "0.5") << full << " has an ordinary decimal point: it tests nothing";
      EXPECT_EQ(numbers(), kNumbers) << full;
    }
    std::setlocale(LC_ALL, "C");
  }
  unsetenv("LOCPATH");
  if (tried == 0) GTEST_SKIP() << "no locale could be made (localedef)";
}
#endif

}  // namespace
}  // namespace pyvoc::api
