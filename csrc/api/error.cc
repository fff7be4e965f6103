#include "api/error.h"

#include <cstring>

namespace pyvoc::api {
namespace {

constexpr std::size_t kCapacity = 2048;
thread_local char last_error[kCapacity] = "";

static_assert(static_cast<int>(Code::kOk) == PYVOC_OK, "codes of base and C ABI agree");
static_assert(static_cast<int>(Code::kArgument) == PYVOC_ERROR_ARGUMENT, "codes agree");
static_assert(static_cast<int>(Code::kModel) == PYVOC_ERROR_MODEL, "codes agree");
static_assert(static_cast<int>(Code::kFeature) == PYVOC_ERROR_FEATURE, "codes agree");
static_assert(static_cast<int>(Code::kAudio) == PYVOC_ERROR_AUDIO, "codes agree");
static_assert(static_cast<int>(Code::kUnsupported) == PYVOC_ERROR_UNSUPPORTED, "codes agree");
static_assert(static_cast<int>(Code::kIo) == PYVOC_ERROR_IO, "codes agree");
static_assert(static_cast<int>(Code::kMemory) == PYVOC_ERROR_MEMORY, "codes agree");
static_assert(static_cast<int>(Code::kBusy) == PYVOC_ERROR_BUSY, "codes agree");
static_assert(static_cast<int>(Code::kFull) == PYVOC_ERROR_FULL, "codes agree");
static_assert(static_cast<int>(Code::kState) == PYVOC_ERROR_STATE, "codes agree");

}  // namespace

void set_last_error(const char* message) noexcept {
  std::strncpy(last_error, message, kCapacity - 1);
  last_error[kCapacity - 1] = '\0';
}

void set_last_error(const std::string& message) noexcept { set_last_error(message.c_str()); }

pyvoc_status fail(const Status& status) noexcept {
  set_last_error(status.message());
  return static_cast<pyvoc_status>(status.code());
}

pyvoc_status fail(Code code, const char* message) noexcept {
  set_last_error(message);
  return static_cast<pyvoc_status>(code);
}

}  // namespace pyvoc::api

#define PYVOC_TEXT_(x) #x
#define PYVOC_TEXT(x) PYVOC_TEXT_(x)

extern "C" {

const char* pyvoc_version(void) {
  return PYVOC_TEXT(PYVOC_VERSION_MAJOR) "." PYVOC_TEXT(PYVOC_VERSION_MINOR) "." PYVOC_TEXT(
      PYVOC_VERSION_PATCH);
}

const char* pyvoc_last_error(void) { return pyvoc::api::last_error; }

}  // extern "C"
