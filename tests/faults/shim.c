/* Preloaded (LD_PRELOAD): of the operations that a process does on files below one folder, the n-th
 * fails with an errno, or ends the process before, halfway or after. Counted are: opening for
 * writing, write, fsync, rename, chmod. What the C library's stdio writes within is not seen. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { kBefore = 0, kAfter = -1 }; /* of a write, "after" is after half of it */

static char folder[512];
static int wanted, action, seen;

/* action: kBefore, kAfter: the process ends; else the errno that the operation fails with. n 0:
 * only count. */
void pyvoc_fault(const char* below, int n, int what) {
  wanted = n;
  action = what;
  seen = 0;
  snprintf(folder, sizeof folder, "%s", below);
}

int pyvoc_fault_seen(void) { return seen; }

static int below(const char* path) {
  return folder[0] && path && strncmp(path, folder, strlen(folder)) == 0;
}

static int below_fd(int fd) {
  if (!folder[0]) return 0;
  char link[64], path[1024];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t n = readlink(link, path, sizeof path - 1);
  if (n <= 0) return 0;
  path[n] = 0;
  return below(path);
}

/* Whether this operation is the one. */
static int due(void) {
  if (++seen != wanted) return 0;
  if (action == kBefore) raise(SIGKILL);
  return 1;
}

static int fail(void) {
  errno = action;
  return -1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define AFTER(call)         \
  do {                      \
    if (action == kAfter) { \
      (void)!(call);        \
      raise(SIGKILL);       \
    }                       \
    return fail();          \
  } while (0)

static int open_for(__typeof__(&open) real, const char* path, int flags, int mode) {
  if ((flags & (O_WRONLY | O_RDWR | O_CREAT)) && below(path) && due()) {
    AFTER(real(path, flags, mode));
  }
  return real(path, flags, mode);
}

int open(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const int mode = va_arg(more, int);
  va_end(more);
  return open_for(REAL(open), path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const int mode = va_arg(more, int);
  va_end(more);
  return open_for(REAL(open64), path, flags, mode);
}

ssize_t write(int fd, const void* data, size_t n) {
  if (below_fd(fd) && due()) AFTER(REAL(write)(fd, data, n / 2));
  return REAL(write)(fd, data, n);
}

int fsync(int fd) {
  if (below_fd(fd) && due()) AFTER(REAL(fsync)(fd));
  return REAL(fsync)(fd);
}

int rename(const char* from, const char* to) {
  if (below(to) && due()) AFTER(REAL(rename)(from, to));
  return REAL(rename)(from, to);
}

int chmod(const char* path, mode_t mode) {
  if (below(path) && due()) AFTER(REAL(chmod)(path, mode));
  return REAL(chmod)(path, mode);
}
