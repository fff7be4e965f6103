// What every entry point of the C ABI needs: no exception passes, and structs grow compatibly.
#ifndef PYVOC_API_GUARD_H_
#define PYVOC_API_GUARD_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <exception>
#include <new>
#include <stdexcept>

#include "api/error.h"
#include "base/parts.h"

namespace pyvoc::api {

template <typename Function>
pyvoc_status guarded(Function function) noexcept {
#if !PYVOC_HAS_EXCEPTIONS
  return function();
#else
  try {
    return function();
  } catch (const std::bad_alloc&) {
    return fail(Code::kMemory, "out of memory");
  } catch (const std::length_error&) {
    return fail(Code::kMemory, "out of memory: an impossible size was asked for");
  } catch (const std::exception& e) {
    return fail(Code::kArgument, e.what());
  }
#endif
}

// Copies the part of a versioned struct that both sides know; `size` is the caller's struct_size.
template <typename Struct>
pyvoc_status copy_struct(const Struct& from, Struct* to, std::uint32_t size) noexcept {
  if (size < sizeof(std::uint32_t) || size > 4096) {
    return fail(Code::kArgument, "struct_size is not set: use sizeof the struct");
  }
  std::memcpy(to, &from, std::min<std::size_t>(size, sizeof(Struct)));
  return PYVOC_OK;
}

}  // namespace pyvoc::api
#endif  // PYVOC_API_GUARD_H_
