/* Records what a process does to the files of one directory, and lets calls fail on demand. Preloaded with LD_PRELOAD.
 *
 * POWER_CUT_DIR: the directory (absolute). POWER_CUT_LOG: where the record goes, outside of it.
 * One record per call that changed something or synced, in the order in which it happened (a mutex holds for the call and its record):
 *   u8 what | i32 descriptor | i64 offset | i32 error | u32 length | length bytes
 * what: o open (bytes: path, offset: flags), w write, t truncate (offset: new length), s sync, u unlink (path), r rename (old \0 new).
 * error: of a sync that was made to fail; other calls are recorded only when they succeeded.
 *
 * power_cut_fail(what, suffix, error, count): the next `count` calls of this kind (-1: all) on paths with this ending fail; count 0 ends it.
 * With error -1 the process is killed instead, before the call does anything.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define DESCRIPTORS 4096
#define FAULTS 8

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *paths[DESCRIPTORS];
static const char *directory;
static size_t directory_length;
static int log_descriptor = -1;

static struct { char what; char suffix[64]; int error; int count; } faults[FAULTS];

static int (*real_open)(const char *, int, ...);
static int (*real_close)(int);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_ftruncate)(int, off_t);
static int (*real_unlink)(const char *);
static int (*real_rename)(const char *, const char *);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);

__attribute__((constructor)) static void start(void) {
    real_open = dlsym(RTLD_NEXT, "open");
    real_close = dlsym(RTLD_NEXT, "close");
    real_write = dlsym(RTLD_NEXT, "write");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    real_unlink = dlsym(RTLD_NEXT, "unlink");
    real_rename = dlsym(RTLD_NEXT, "rename");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    const char *log = getenv("POWER_CUT_LOG");
    directory = getenv("POWER_CUT_DIR");
    if (directory == NULL || log == NULL) return;
    directory_length = strlen(directory);
    log_descriptor = real_open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_descriptor < 0) abort();
}

static int inside(const char *path) {
    return log_descriptor >= 0 && path != NULL && strncmp(path, directory, directory_length) == 0 &&
           (path[directory_length] == '/' || path[directory_length] == '\0');
}

static const char *path_of(int fd) { return fd >= 0 && fd < DESCRIPTORS ? paths[fd] : NULL; }

static void put(const void *bytes, size_t count) {
    const char *at = bytes;
    while (count > 0) {
        ssize_t done = real_write(log_descriptor, at, count);
        if (done < 0) { if (errno == EINTR) continue; abort(); }
        at += done;
        count -= (size_t)done;
    }
}

static void record(char what, int fd, int64_t offset, int error, const void *bytes, uint32_t length) {
    int kept = errno;
    char head[21];
    int32_t fd32 = fd, error32 = error;
    head[0] = what;
    memcpy(head + 1, &fd32, 4);
    memcpy(head + 5, &offset, 8);
    memcpy(head + 13, &error32, 4);
    memcpy(head + 17, &length, 4);
    put(head, sizeof head);
    put(bytes, length);
    errno = kept;
}

void power_cut_fail(char what, const char *suffix, int error, int count) {
    pthread_mutex_lock(&lock);
    for (int i = 0; i < FAULTS; i++)
        if (faults[i].what == what && strcmp(faults[i].suffix, suffix) == 0) faults[i].count = 0;
    for (int i = 0; count != 0 && i < FAULTS; i++)
        if (faults[i].count == 0) {
            faults[i].what = what;
            snprintf(faults[i].suffix, sizeof faults[i].suffix, "%s", suffix);
            faults[i].error = error;
            faults[i].count = count;
            break;
        }
    pthread_mutex_unlock(&lock);
}

/* The error that a call shall fail with, or 0. */
static int fault(char what, const char *path) {
    size_t length = strlen(path);
    for (int i = 0; i < FAULTS; i++) {
        size_t ending = strlen(faults[i].suffix);
        if (faults[i].count == 0 || faults[i].what != what || ending > length) continue;
        if (strcmp(path + length - ending, faults[i].suffix) != 0) continue;
        if (faults[i].count > 0) faults[i].count--;
        if (faults[i].error == -1) raise(SIGKILL);
        return faults[i].error;
    }
    return 0;
}

static int opened(const char *path, int flags, mode_t mode) {
    if (!inside(path)) return real_open(path, flags, mode);
    pthread_mutex_lock(&lock);
    int error = fault('o', path);
    int fd = -1;
    if (error) errno = error;
    else if ((fd = real_open(path, flags, mode)) >= 0 && fd < DESCRIPTORS) {
        free(paths[fd]);
        paths[fd] = strdup(path);
        record('o', fd, flags, 0, path, (uint32_t)strlen(path));
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

static int mode_given(int flags) { return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE; }

#define OPEN(name)                                  \
    int name(const char *path, int flags, ...) {    \
        mode_t mode = 0;                            \
        if (mode_given(flags)) {                    \
            va_list rest;                           \
            va_start(rest, flags);                  \
            mode = va_arg(rest, mode_t);            \
            va_end(rest);                           \
        }                                           \
        return opened(path, flags, mode);           \
    }
OPEN(open)
OPEN(open64)

int close(int fd) {
    if (path_of(fd) != NULL) {
        pthread_mutex_lock(&lock);
        free(paths[fd]);
        paths[fd] = NULL;
        pthread_mutex_unlock(&lock);
    }
    return real_close(fd);
}

static ssize_t written(int fd, const void *bytes, size_t count, off_t offset, int at_position) {
    const char *path = path_of(fd);
    if (path == NULL) return at_position ? real_write(fd, bytes, count) : real_pwrite(fd, bytes, count, offset);
    pthread_mutex_lock(&lock);
    int error = fault('w', path);
    ssize_t done = -1;
    if (error) errno = error;
    else {
        if (at_position) offset = lseek(fd, 0, SEEK_CUR);
        done = at_position ? real_write(fd, bytes, count) : real_pwrite(fd, bytes, count, offset);
        if (done >= 0) record('w', fd, offset, 0, bytes, (uint32_t)done);
    }
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t write(int fd, const void *bytes, size_t count) { return written(fd, bytes, count, 0, 1); }
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) { return written(fd, bytes, count, offset, 0); }
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) { return written(fd, bytes, count, offset, 0); }

static int truncated(int fd, off_t length) {
    const char *path = path_of(fd);
    if (path == NULL) return real_ftruncate(fd, length);
    pthread_mutex_lock(&lock);
    int error = fault('t', path), result = -1;
    if (error) errno = error;
    else if ((result = real_ftruncate(fd, length)) == 0) record('t', fd, length, 0, "", 0);
    pthread_mutex_unlock(&lock);
    return result;
}

int ftruncate(int fd, off_t length) { return truncated(fd, length); }
int ftruncate64(int fd, off64_t length) { return truncated(fd, length); }

static int synced(int fd, int (*real)(int)) {
    const char *path = path_of(fd);
    if (path == NULL) return real(fd);
    pthread_mutex_lock(&lock);
    int error = fault('s', path), result = -1;
    if (error) {
        record('s', fd, 0, error, "", 0);
        errno = error;
    } else {
        /* The record stands for the disk, so the machine's own need not be waited for. */
        record('s', fd, 0, 0, "", 0);
        result = 0;
    }
    pthread_mutex_unlock(&lock);
    return result;
}

int fsync(int fd) { return synced(fd, real_fsync); }
int fdatasync(int fd) { return synced(fd, real_fdatasync); }

int unlink(const char *path) {
    if (!inside(path)) return real_unlink(path);
    pthread_mutex_lock(&lock);
    int error = fault('u', path), result = -1;
    if (error) errno = error;
    else if ((result = real_unlink(path)) == 0) record('u', -1, 0, 0, path, (uint32_t)strlen(path));
    pthread_mutex_unlock(&lock);
    return result;
}

int rename(const char *from, const char *to) {
    if (!inside(from) || !inside(to)) return real_rename(from, to);
    pthread_mutex_lock(&lock);
    int result = real_rename(from, to);
    if (result == 0) {
        char both[2 * PATH_MAX];
        int length = snprintf(both, sizeof both, "%s%c%s", from, '\0', to);
        record('r', -1, 0, 0, both, (uint32_t)length);
    }
    pthread_mutex_unlock(&lock);
    return result;
}
