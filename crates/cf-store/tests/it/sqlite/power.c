// Notes what a process writes to the files of a folder, and what it has made durable, in
// the order in which it does so. Loaded before libc by the test `power.rs`.
//
// CF_POWER_FOLDER: the folder. CF_POWER_LOG: where the notes go. A note is: kind (w, t or
// s for write, truncate and sync), length of the name, name, offset, length, bytes; the
// numbers in eight bytes of this machine's order, the length of the name in one.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int notes = -2;

static int open_notes(void) {
    if (notes == -2) {
        const char *path = getenv("CF_POWER_LOG");
        notes = path ? open(path, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
    }
    return notes;
}

// The name of a file in the folder; 0 for any other.
static int name_of(int fd, char *name, size_t size) {
    const char *folder = getenv("CF_POWER_FOLDER");
    char link[64], path[4096];
    if (!folder || open_notes() < 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    if (len <= 0) return 0;
    path[len] = 0;
    size_t prefix = strlen(folder);
    if (strncmp(path, folder, prefix) != 0 || path[prefix] != '/') return 0;
    return snprintf(name, size, "%s", path + prefix + 1) < (int)size;
}

static void put(const void *bytes, size_t len) {
    const char *at = bytes;
    while (len > 0) {
        long done = syscall(SYS_write, notes, at, len);
        if (done <= 0) abort();
        at += done;
        len -= (size_t)done;
    }
}

static void note(char kind, int fd, uint64_t offset, const void *bytes, uint64_t len) {
    char name[200];
    if (!name_of(fd, name, sizeof name)) return;
    uint8_t name_len = (uint8_t)strlen(name);
    pthread_mutex_lock(&lock);
    put(&kind, 1);
    put(&name_len, 1);
    put(name, name_len);
    put(&offset, 8);
    put(&len, 8);
    put(bytes, len);
    pthread_mutex_unlock(&lock);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *bytes, size_t len) {
    off_t offset = lseek(fd, 0, SEEK_CUR);
    ssize_t done = REAL(write)(fd, bytes, len);
    if (done > 0 && offset >= 0) note('w', fd, (uint64_t)offset, bytes, (uint64_t)done);
    return done;
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset) {
    ssize_t done = REAL(pwrite)(fd, bytes, len, offset);
    if (done > 0) note('w', fd, (uint64_t)offset, bytes, (uint64_t)done);
    return done;
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t offset) {
    ssize_t done = REAL(pwrite64)(fd, bytes, len, offset);
    if (done > 0) note('w', fd, (uint64_t)offset, bytes, (uint64_t)done);
    return done;
}

int ftruncate(int fd, off_t len) {
    int done = REAL(ftruncate)(fd, len);
    if (done == 0) note('t', fd, (uint64_t)len, "", 0);
    return done;
}

int ftruncate64(int fd, off64_t len) {
    int done = REAL(ftruncate64)(fd, len);
    if (done == 0) note('t', fd, (uint64_t)len, "", 0);
    return done;
}

int fsync(int fd) {
    int done = REAL(fsync)(fd);
    if (done == 0) note('s', fd, 0, "", 0);
    return done;
}

int fdatasync(int fd) {
    int done = REAL(fdatasync)(fd);
    if (done == 0) note('s', fd, 0, "", 0);
    return done;
}
