// Interposes malloc and its family: the program's definitions win over the C library's. The address
// sanitizer has its own malloc, and hooks in place of that.
#include "alloc_counter.h"

#include <cstddef>
#include <cstdlib>

#if defined(__SANITIZE_ADDRESS__)
#define PYVOC_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PYVOC_ASAN 1
#endif
#endif

namespace {

thread_local bool counting = false;
thread_local long calls_made = 0;

void count() noexcept {
  if (counting) ++calls_made;
}

}  // namespace

#if PYVOC_ASAN

extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void*,
                                                                           std::size_t),
                                                         void (*on_free)(const volatile void*));
namespace {
void on_malloc(const volatile void*, std::size_t) { count(); }
void on_free(const volatile void*) { count(); }
[[maybe_unused]] const int installed =
    __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
}  // namespace

#elif defined(__GLIBC__)

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void __libc_free(void*);

void* malloc(std::size_t size) {
  count();
  return __libc_malloc(size);
}
void* calloc(std::size_t n, std::size_t size) {
  count();
  return __libc_calloc(n, size);
}
void* realloc(void* p, std::size_t size) {
  count();
  return __libc_realloc(p, size);
}
void* memalign(std::size_t alignment, std::size_t size) {
  count();
  return __libc_memalign(alignment, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) { return memalign(alignment, size); }
int posix_memalign(void** p, std::size_t alignment, std::size_t size) {
  *p = memalign(alignment, size);
  return *p == nullptr ? 12 : 0;  // ENOMEM
}
void free(void* p) {
  if (p != nullptr) count();
  __libc_free(p);
}
}  // extern "C"

#else
#error "no way to count allocations on this platform: leave test_realtime out of its build"
#endif

namespace pyvoc::testing {

Counting::Counting() noexcept {
  calls_made = 0;
  counting = true;
}

Counting::~Counting() { counting = false; }

long Counting::calls() const noexcept { return calls_made; }

}  // namespace pyvoc::testing
