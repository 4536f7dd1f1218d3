#include "log/store/sqlite/folder.h"

#include "log/store/sqlite/db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_DIGITS = 16 };

char *folder_join(const char *dir, const char *name)
{
    char *path;
    if (asprintf(&path, "%s/%s", dir, name) < 0)
        abort();
    return path;
}

uint64_t folder_id_of(const char *name)
{
    uint64_t id = 0;
    for (int i = 0; i < NAME_DIGITS; i++) {
        if (name[i] < '0' || name[i] > '9')
            return 0;
        id = id * 10 + (uint64_t)(name[i] - '0');
    }
    return strcmp(name + NAME_DIGITS, ".db") == 0 ? id : 0;
}

void folder_of(const char *path, char *out, size_t size)
{
    snprintf(out, size, "%s", path);
    for (size_t len = strlen(out); len > 1 && out[len - 1] == '/'; len--)
        out[len - 1] = '\0';
    char *slash = strrchr(out, '/');
    if (slash && slash != out)
        *slash = '\0';
    else
        snprintf(out, size, "%s", slash ? "/" : ".");
}

int folder_sync_of(const char *path)
{
    char folder[4096];
    folder_of(path, folder, sizeof(folder));
    return db_sync_folder(folder);
}

int folder_make(const char *path)
{
    if (mkdir(path, 0700))
        return errno == EEXIST ? 0 : -errno;
    char *above = folder_join(path, "..");
    int result = db_sync_folder(above);
    free(above);
    return result;
}

/* The number only tells people which process to stop; the lock itself keeps others out. So start
 * even if the disk has no room for the number. */
static void sign(int fd)
{
    char text[32];
    int len = snprintf(text, sizeof(text), "%lld\n", (long long)getpid());
    if (ftruncate(fd, 0) == 0)
        (void)!pwrite(fd, text, (size_t)len, 0);
}

static int64_t read_pid(int fd)
{
    char text[32];
    ssize_t len = pread(fd, text, sizeof(text) - 1, 0);
    text[len < 0 ? 0 : len] = '\0';
    long long pid = strtoll(text, NULL, 10);
    return pid > 0 ? pid : 0;
}

/* Do not follow a symbolic link: the number must not be written into another file. */
static int open_lock(const char *dir, bool make)
{
    char *path = folder_join(dir, "lock");
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (make ? O_CREAT : 0), 0600);
    int error = errno;
    free(path);
    return fd < 0 ? -error : fd;
}

int folder_lock(const char *dir, bool make, int *ret_fd, int64_t *ret_pid)
{
    *ret_fd = -1;
    *ret_pid = 0;
    int fd = open_lock(dir, make);
    if (fd < 0)
        return !make && fd == -ENOENT ? 0 : fd;
    if (flock(fd, LOCK_EX | LOCK_NB)) {
        int error = errno;
        *ret_pid = read_pid(fd);
        close(fd);
        return error == EWOULDBLOCK ? -EBUSY : -error;
    }
    if (make)
        sign(fd);
    *ret_fd = fd;
    return 0;
}
