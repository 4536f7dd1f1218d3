/* A disk that fails and remembers: stands before libc's calls that change files, for tests only.
 *
 * Built as a library it is put before a server by LD_PRELOAD and set up by its environment; linked
 * into a test it is set up by disk.h. It concerns files below one folder, and does two things:
 *
 *     faults   one call in so many fails, with EIO or ENOSPC. The number of the call and the seed
 *              decide, so that a single thread meets the same faults again. A write that fails may
 *              have written some of its bytes, the first ones; a sync that fails has left all of
 *              it in memory, as a kernel does.
 *     record   every call that changed something is written to a file, in order, together with
 *              notes of the test's. From it a test can build what a power cut would have left.
 *
 * Environment: DISK_FOLDER, DISK_SEED, DISK_RATE (of 1,000 calls), DISK_ERRNO (0: both in turn),
 * DISK_AFTER (calls that succeed before the first fault), DISK_UPTO (the last call that may fail;
 * 0: none is the last). Syncs are not carried out: a test that kills processes does not need them,
 * and they would take most of its time. */
#include "disk.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FDS = 65536 };

static struct disk_setup setup = {.record = -1};
static unsigned opens[FDS]; /* the record's number of a descriptor; 0: not recorded */
static unsigned last_open;
static uint64_t calls;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- set-up ---------------------------------------------------------------------------------- */

void disk_set_up(const struct disk_setup *wanted)
{
    setup = *wanted;
    calls = 0;
    last_open = wanted->open_base;
}

uint64_t disk_calls(void)
{
    return __atomic_load_n(&calls, __ATOMIC_RELAXED);
}

static unsigned long number_of(const char *name)
{
    const char *text = getenv(name);
    return text ? strtoul(text, NULL, 10) : 0;
}

__attribute__((constructor)) static void set_up_by_environment(void)
{
    const char *folder = getenv("DISK_FOLDER");
    if (!folder)
        return;
    setup = (struct disk_setup){.seed = number_of("DISK_SEED"),
                                .rate = (unsigned)number_of("DISK_RATE"),
                                .error = (int)number_of("DISK_ERRNO"),
                                .after = number_of("DISK_AFTER"),
                                .upto = number_of("DISK_UPTO"),
                                .record = -1};
    snprintf(setup.folder, sizeof(setup.folder), "%s", folder);
}

static void *real(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (!found)
        abort();
    return found;
}

/* The cast from a pointer to an object goes through its bytes: ISO C knows no other way. */
#define REAL(name, pointer)                                                                        \
    do {                                                                                           \
        static void *known;                                                                        \
        void *found = __atomic_load_n(&known, __ATOMIC_RELAXED);                                   \
        if (!found)                                                                                \
            __atomic_store_n(&known, found = real(name), __ATOMIC_RELAXED);                        \
        memcpy(&(pointer), &found, sizeof(found));                                                 \
    } while (0)

/* ---- faults ---------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

struct fault {
    int error;     /* 0: no fault */
    uint64_t part; /* says how much of a write is done first; 0: nothing */
};

/* Counts the call, which may be the last of the process. */
static struct fault next_fault(void)
{
    uint64_t n = __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
    uint64_t random = mix(setup.seed * 1000003 + n);
    if (setup.die_at && n == setup.die_at)
        raise(SIGKILL);
    if (!setup.rate || n <= setup.after || (setup.upto && n > setup.upto) ||
        random % 1000 >= setup.rate)
        return (struct fault){0};
    int error = setup.error ? setup.error : random >> 20 & 1 ? EIO : ENOSPC;
    return (struct fault){error, random >> 21 & 1 ? random >> 22 : 0};
}

/* ---- the record ------------------------------------------------------------------------------ */

static void record(enum disk_kind kind, unsigned open_id, uint64_t at, const void *bytes,
                   size_t len)
{
    if (setup.record < 0)
        return;
    struct disk_entry entry = {(uint32_t)kind, open_id, at, len};
    struct iovec parts[] = {{&entry, sizeof(entry)}, {(void *)(uintptr_t)bytes, len}};
    pthread_mutex_lock(&lock);
    if (syscall(SYS_writev, setup.record, parts, len ? 2 : 1) < 0)
        abort();
    pthread_mutex_unlock(&lock);
}

void disk_note(const void *bytes, size_t len)
{
    record(DISK_NOTE, 0, 0, bytes, len);
}

static unsigned open_of(int fd)
{
    return fd >= 0 && fd < FDS ? __atomic_load_n(&opens[fd], __ATOMIC_RELAXED) : 0;
}

static bool is_ours(const char *path)
{
    size_t len = strlen(setup.folder);
    return len && strncmp(path, setup.folder, len) == 0;
}

/* The index of the write-ahead log is memory that happens to have a name. */
static bool is_index(const char *path)
{
    size_t len = strlen(path);
    return len > 4 && strcmp(path + len - 4, "-shm") == 0;
}

static void note_open(int fd, const char *path, int flags)
{
    if (fd < 0 || fd >= FDS)
        return;
    bool ours = is_ours(path) && !is_index(path);
    unsigned open_id = ours ? __atomic_add_fetch(&last_open, 1, __ATOMIC_RELAXED) : 0;
    if (ours)
        record(DISK_OPEN, open_id, (uint64_t)flags, path, strlen(path));
    __atomic_store_n(&opens[fd], open_id, __ATOMIC_RELAXED);
}

/* ---- opening and closing --------------------------------------------------------------------- */

static int open_by(const char *name, const char *path, int flags, mode_t mode)
{
    int (*next)(const char *, int, ...);
    REAL(name, next);
    int fd = next(path, flags, mode);
    note_open(fd, path, flags);
    return fd;
}

#define MODE_OF(flags, mode)                                                                       \
    do {                                                                                           \
        va_list args;                                                                              \
        va_start(args, flags);                                                                     \
        mode = (flags) & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;                         \
        va_end(args);                                                                              \
    } while (0)

int open(const char *path, int flags, ...)
{
    mode_t mode;
    MODE_OF(flags, mode);
    return open_by("open", path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    mode_t mode;
    MODE_OF(flags, mode);
    return open_by("open64", path, flags, mode);
}

int close(int fd)
{
    int (*next)(int);
    REAL("close", next);
    if (fd >= 0 && fd < FDS)
        __atomic_store_n(&opens[fd], 0, __ATOMIC_RELAXED);
    return next(fd);
}

/* ---- writing --------------------------------------------------------------------------------- */

/* How much of a write is let through; -1 with errno for none. */
static ssize_t let_through(int fd, size_t len)
{
    if (!open_of(fd) || setup.counts_names)
        return (ssize_t)len;
    struct fault fault = next_fault();
    if (!fault.error)
        return (ssize_t)len;
    errno = fault.error;
    return fault.part && len > 1 ? (ssize_t)(1 + fault.part % (len - 1)) : -1;
}

static ssize_t pwrite_by(const char *name, int fd, const void *bytes, size_t len, off_t at)
{
    ssize_t (*next)(int, const void *, size_t, off_t);
    REAL(name, next);
    ssize_t may = let_through(fd, len);
    int error = errno;
    if (may < 0)
        return -1;
    ssize_t done = next(fd, bytes, (size_t)may, at);
    if (done > 0 && open_of(fd))
        record(DISK_WRITE, open_of(fd), (uint64_t)at, bytes, (size_t)done);
    if ((size_t)may == len)
        return done;
    errno = error; /* a part of it is there, and the call fails all the same */
    return -1;
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    return pwrite_by("pwrite", fd, bytes, len, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off_t at)
{
    return pwrite_by("pwrite64", fd, bytes, len, at);
}

static int ftruncate_by(const char *name, int fd, off_t size)
{
    int (*next)(int, off_t);
    REAL(name, next);
    struct fault fault = open_of(fd) ? next_fault() : (struct fault){0};
    if (fault.error) {
        errno = fault.error;
        return -1;
    }
    int result = next(fd, size);
    if (!result && open_of(fd))
        record(DISK_TRUNCATE, open_of(fd), (uint64_t)size, NULL, 0);
    return result;
}

int ftruncate(int fd, off_t size)
{
    return ftruncate_by("ftruncate", fd, size);
}

int ftruncate64(int fd, off_t size)
{
    return ftruncate_by("ftruncate64", fd, size);
}

static int sync_by(const char *name, int fd)
{
    int (*next)(int);
    REAL(name, next);
    if (!open_of(fd))
        return next(fd);
    struct fault fault = next_fault();
    record(fault.error ? DISK_SYNC_FAILED : DISK_SYNC, open_of(fd), 0, NULL, 0);
    if (fault.error) {
        errno = fault.error;
        return -1;
    }
    return 0;
}

int fsync(int fd)
{
    return sync_by("fsync", fd);
}

int fdatasync(int fd)
{
    return sync_by("fdatasync", fd);
}

/* ---- names ----------------------------------------------------------------------------------- */

/* A call that changes the name `path` may be the last of the process. */
static void count_name(const char *path)
{
    if (!setup.counts_names || !is_ours(path) || is_index(path))
        return;
    if (__atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) == setup.die_at)
        raise(SIGKILL);
}

static void record_both(enum disk_kind kind, const char *from, const char *to)
{
    char both[2 * PATH_MAX];
    if (!is_ours(to))
        return;
    int len = snprintf(both, sizeof(both), "%s%c%s", from, '\0', to);
    record(kind, 0, 0, both, (size_t)len + 1);
}

int rename(const char *from, const char *to)
{
    int (*next)(const char *, const char *);
    REAL("rename", next);
    count_name(to);
    int result = next(from, to);
    if (!result)
        record_both(DISK_RENAME, from, to);
    return result;
}

int link(const char *from, const char *to)
{
    int (*next)(const char *, const char *);
    REAL("link", next);
    count_name(to);
    if (setup.has_no_links && is_ours(to) && access(from, F_OK) == 0) {
        errno = EPERM;
        return -1;
    }
    int result = next(from, to);
    if (!result)
        record_both(DISK_LINK, from, to);
    return result;
}

int unlink(const char *path)
{
    int (*next)(const char *);
    REAL("unlink", next);
    count_name(path);
    int result = next(path);
    if (!result && is_ours(path) && !is_index(path))
        record(DISK_UNLINK, 0, 0, path, strlen(path));
    return result;
}

int unlinkat(int folder, const char *path, int flags)
{
    int (*next)(int, const char *, int);
    REAL("unlinkat", next);
    char whole[PATH_MAX], link[64];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", folder);
    ssize_t len = readlink(link, whole, sizeof(whole) - 1);
    int result = next(folder, path, flags);
    if (result || len < 0)
        return result;
    snprintf(whole + len, sizeof(whole) - (size_t)len, "/%s", path);
    if (is_ours(whole) && !is_index(whole))
        record(DISK_UNLINK, 0, 0, whole, strlen(whole));
    return 0;
}

int mkdir(const char *path, mode_t mode)
{
    int (*next)(const char *, mode_t);
    REAL("mkdir", next);
    count_name(path);
    int result = next(path, mode);
    if (!result && is_ours(path))
        record(DISK_MKDIR, 0, 0, path, strlen(path));
    return result;
}
