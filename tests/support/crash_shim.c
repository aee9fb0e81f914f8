/* Kills a process at the n-th call that changes or syncs a file of one directory. Preloaded with LD_PRELOAD, before power_cut.so.
 *
 * crash_at(directory, call, how): from now on calls below the directory are counted, and at number `call` (from 1 on; 0: none) the process is killed.
 * how: 'b' before the call does anything, 'a' after it, 'h' after the first half of a write (of any other call: after it).
 * crash_calls(): how many there were so far.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char directory[PATH_MAX];
static long calls, last;
static int how = 'b';

void crash_at(const char *below, long call, int when) {
    snprintf(directory, sizeof directory, "%s/", below);
    calls = 0;
    last = call;
    how = when;
}

long crash_calls(void) { return calls; }

static int below(const char *path) { return directory[0] && strncmp(path, directory, strlen(directory)) == 0; }

static int watched(int fd) {
    char link[64], path[PATH_MAX];
    if (!directory[0]) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = '\0';
    return below(path);
}

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* 1: this is the call at which it ends. The lock is held from here to `leave`, so that no other call comes in between. */
static int enter(void) {
    pthread_mutex_lock(&lock);
    int now = ++calls == last;
    if (now && how == 'b') die();
    return now;
}

static void leave(int now) {
    if (now) die();
    pthread_mutex_unlock(&lock);
}

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define CALL(condition, whole, half)                  \
    if (!(condition)) return whole;                   \
    int now = enter();                                \
    if (now && how == 'h') { (void)!(half); die(); }  \
    __typeof__(whole) result = whole;                 \
    leave(now);                                       \
    return result

ssize_t write(int fd, const void *bytes, size_t count) {
    REAL(write);
    CALL(watched(fd), real(fd, bytes, count), real(fd, bytes, count / 2));
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
    REAL(pwrite);
    CALL(watched(fd), real(fd, bytes, count, offset), real(fd, bytes, count / 2, offset));
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
    REAL(pwrite64);
    CALL(watched(fd), real(fd, bytes, count, offset), real(fd, bytes, count / 2, offset));
}

int ftruncate(int fd, off_t length) {
    REAL(ftruncate);
    CALL(watched(fd), real(fd, length), real(fd, length));
}

int ftruncate64(int fd, off64_t length) {
    REAL(ftruncate64);
    CALL(watched(fd), real(fd, length), real(fd, length));
}

int fsync(int fd) {
    REAL(fsync);
    CALL(watched(fd), real(fd), real(fd));
}

int fdatasync(int fd) {
    REAL(fdatasync);
    CALL(watched(fd), real(fd), real(fd));
}

int unlink(const char *path) {
    REAL(unlink);
    CALL(below(path), real(path), real(path));
}

int rename(const char *from, const char *to) {
    REAL(rename);
    CALL(below(from) || below(to), real(from, to), real(from, to));
}
