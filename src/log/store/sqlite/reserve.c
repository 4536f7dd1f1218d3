/* A full disk is trimmed by writing to it: a DELETE is a row in the log, sealing and rewriting a
 * file make another beside it. So a file of some megabytes, allocated and never written to, keeps
 * room for that. It has three states:
 *
 *     held    the usual one
 *     given   a trim ran into the full disk: the file was cut to nothing and the trim tried again.
 *             Events are refused as if the disk were still full, so that only trims get the room
 *     none    there was never room for it, or the file system cannot allocate: then all is as
 *             without a reserve
 *
 * Upkeep sets it aside again, once a second, when that leaves a quarter of its size free. The
 * writer's thread and upkeep's meet in the lock. */
#include "log/store/sqlite/reserve.h"

#include "base/say.h"
#include "log/store/sqlite/db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { RESERVE_SHARE = 2, RESERVE_LEAST = 64 << 10 };

static uint64_t room_at(const char *path)
{
    struct statvfs info;
    char folder[4096];
    const char *end = strrchr(path, '/');
    size_t len = end ? (size_t)(end - path) : 0;
    if (!len || len >= sizeof(folder))
        return 0;
    memcpy(folder, path, len);
    folder[len] = '\0';
    return statvfs(folder, &info) ? 0 : (uint64_t)info.f_bavail * info.f_frsize;
}

static bool has_size(const struct reserve *reserve)
{
    struct stat info;
    return stat(reserve->path, &info) == 0 && (uint64_t)info.st_blocks * 512 >= reserve->bytes;
}

void reserve_init(struct reserve *reserve, const char *path, uint64_t bytes)
{
    *reserve = (struct reserve){.path = strdup(path), .bytes = bytes};
    if (!reserve->path)
        abort();
    pthread_mutex_init(&reserve->lock, NULL);
}

/* Decides the size of the reserve. The folder must exist. */
static void measure(struct reserve *reserve)
{
    reserve->measured = true;
    uint64_t share = room_at(reserve->path) / RESERVE_SHARE;
    if (!has_size(reserve) && share < reserve->bytes)
        reserve->bytes = share > RESERVE_LEAST ? share : RESERVE_LEAST;
}

void reserve_deinit(struct reserve *reserve)
{
    pthread_mutex_destroy(&reserve->lock);
    free(reserve->path);
}

/* Truncates the file and syncs, so that the disk has the room. */
static int cut(const struct reserve *reserve)
{
    int fd = db_open_file(reserve->path, O_WRONLY);
    if (fd < 0)
        return fd;
    int result = ftruncate(fd, 0) || fsync(fd) ? -errno : 0;
    close(fd);
    return result;
}

static int allocate(const struct reserve *reserve)
{
    int fd = db_open_file(reserve->path, O_WRONLY | O_CREAT);
    if (fd < 0)
        return fd;
    int result = fallocate(fd, 0, 0, (off_t)reserve->bytes) ? -errno : 0;
    close(fd);
    if (result)
        (void)cut(reserve);
    return result;
}

void reserve_make(struct reserve *reserve)
{
    pthread_mutex_lock(&reserve->lock);
    bool wanted = reserve->bytes && !reserve->held;
    if (wanted && !reserve->measured)
        measure(reserve);
    if (wanted &&
        (has_size(reserve) || (room_at(reserve->path) >= reserve->bytes + reserve->bytes / 4 &&
                               allocate(reserve) == 0))) {
        if (reserve->given)
            say(SAY_INFO, "reserve_made", "bytes=%llu publishes=accepted",
                (unsigned long long)reserve->bytes);
        reserve->held = true;
        reserve->given = false;
    }
    pthread_mutex_unlock(&reserve->lock);
}

bool reserve_give(struct reserve *reserve)
{
    pthread_mutex_lock(&reserve->lock);
    bool given = reserve->held && cut(reserve) == 0;
    if (given) {
        reserve->held = false;
        reserve->given = true;
        say(SAY_WARN, "reserve_given", "bytes=%llu to=trims publishes=refused",
            (unsigned long long)reserve->bytes);
    }
    pthread_mutex_unlock(&reserve->lock);
    return given;
}

bool reserve_is_given(struct reserve *reserve)
{
    pthread_mutex_lock(&reserve->lock);
    bool given = reserve->given;
    pthread_mutex_unlock(&reserve->lock);
    return given;
}
