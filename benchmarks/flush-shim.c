/*
 * Loaded before the C library (LD_PRELOAD), this counts every request to make data durable that the process makes, and
 * can slow each one down, as if the disk were slower:
 *
 *   FLUSH_SHIM_COUNTS    a file of at least 16 bytes: the number of flushes, then the nanoseconds spent in them
 *   FLUSH_SHIM_DELAY_US  microseconds to wait after each flush; several threads wait at the same time
 *
 * A flush is: fsync, fdatasync, syncfs, sync, msync(MS_SYNC), sync_file_range that waits for its writes, and a write to a
 * file that was opened with O_SYNC or O_DSYNC (LMDB writes its meta page so). io_uring would bypass it; Node's libuv does
 * not use it for files unless told to.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define FDS 65536

static uint64_t *counts;
static uint64_t delay_us;
static unsigned char synced[FDS];

#define REAL(name) \
  static __typeof__(&name) real; \
  if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void start(void) {
  const char *delay = getenv("FLUSH_SHIM_DELAY_US");
  if (delay) delay_us = strtoull(delay, NULL, 10);
  const char *path = getenv("FLUSH_SHIM_COUNTS");
  if (!path) return;
  int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void *page = mmap(NULL, 16, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (page != MAP_FAILED) counts = page;
}

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void flushed(uint64_t begin) {
  int error = errno;
  if (delay_us) {
    struct timespec time = {(time_t)(delay_us / 1000000), (long)(delay_us % 1000000) * 1000};
    while (nanosleep(&time, &time) == -1 && errno == EINTR) continue;
  }
  if (counts) {
    __atomic_fetch_add(&counts[0], 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&counts[1], now() - begin, __ATOMIC_RELAXED);
  }
  errno = error;
}

#define FLUSH(type, name, parameters, arguments) \
  type name parameters { \
    REAL(name); \
    uint64_t begin = now(); \
    type result = real arguments; \
    flushed(begin); \
    return result; \
  }

FLUSH(int, fsync, (int fd), (fd))
FLUSH(int, fdatasync, (int fd), (fd))
FLUSH(int, syncfs, (int fd), (fd))

void sync(void) {
  REAL(sync);
  uint64_t begin = now();
  real();
  flushed(begin);
}

int msync(void *address, size_t length, int flags) {
  REAL(msync);
  uint64_t begin = now();
  int result = real(address, length, flags);
  if (flags & MS_SYNC) flushed(begin);
  return result;
}

int sync_file_range(int fd, off64_t offset, off64_t bytes, unsigned int flags) {
  REAL(sync_file_range);
  uint64_t begin = now();
  int result = real(fd, offset, bytes, flags);
  if (flags & SYNC_FILE_RANGE_WAIT_AFTER) flushed(begin);
  return result;
}

static int opened(int fd, int flags) {
  if (fd >= 0 && fd < FDS) synced[fd] = (flags & (O_SYNC | O_DSYNC)) != 0;
  return fd;
}

static void forget(int fd) {
  if (fd >= 0 && fd < FDS) synced[fd] = 0;
}

/* Forgotten before: once it is closed, another thread may be given the same descriptor. */
int close(int fd) {
  REAL(close);
  forget(fd);
  return real(fd);
}

static int copied(int from, int to) {
  if (to >= 0 && to < FDS) synced[to] = from >= 0 && from < FDS && synced[from];
  return to;
}

int dup(int fd) {
  REAL(dup);
  return copied(fd, real(fd));
}

int dup2(int from, int to) {
  REAL(dup2);
  return copied(from, real(from, to));
}

int dup3(int from, int to, int flags) {
  REAL(dup3);
  return copied(from, real(from, to, flags));
}

static mode_t mode_of(int flags, va_list arguments) {
  return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(arguments, mode_t) : 0;
}

#define OPEN(name) \
  int name(const char *path, int flags, ...) { \
    REAL(name); \
    va_list arguments; \
    va_start(arguments, flags); \
    mode_t mode = mode_of(flags, arguments); \
    va_end(arguments); \
    return opened(real(path, flags, mode), flags); \
  }

#define OPENAT(name) \
  int name(int directory, const char *path, int flags, ...) { \
    REAL(name); \
    va_list arguments; \
    va_start(arguments, flags); \
    mode_t mode = mode_of(flags, arguments); \
    va_end(arguments); \
    return opened(real(directory, path, flags, mode), flags); \
  }

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

#define WRITE(name, parameters, arguments) \
  ssize_t name parameters { \
    REAL(name); \
    if (fd < 0 || fd >= FDS || !synced[fd]) return real arguments; \
    uint64_t begin = now(); \
    ssize_t result = real arguments; \
    flushed(begin); \
    return result; \
  }

WRITE(write, (int fd, const void *bytes, size_t count), (fd, bytes, count))
WRITE(pwrite, (int fd, const void *bytes, size_t count, off_t offset), (fd, bytes, count, offset))
WRITE(pwrite64, (int fd, const void *bytes, size_t count, off64_t offset), (fd, bytes, count, offset))
WRITE(writev, (int fd, const struct iovec *parts, int count), (fd, parts, count))
WRITE(pwritev, (int fd, const struct iovec *parts, int count, off_t offset), (fd, parts, count, offset))
WRITE(pwritev64, (int fd, const struct iovec *parts, int count, off64_t offset), (fd, parts, count, offset))
