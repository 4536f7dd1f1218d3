#include "net/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static const char beside[] = ".new";

/* Another server that begins holds the lock for a moment. Somebody else may hold it for ever. */
enum { LOCK_TRIES = 20, LOCK_PAUSE_NS = 50000000 };

enum { BACKLOG = 4096, PATH_SIZE = sizeof(((struct sockaddr_un *)NULL)->sun_path) };

int unix_address(const char *path, struct sockaddr_storage *ret_address, socklen_t *ret_size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (!len || len + sizeof(beside) > sizeof(address.sun_path))
        return -EINVAL;
    memcpy(address.sun_path, path, len);
    *ret_address = (struct sockaddr_storage){0};
    memcpy(ret_address, &address, sizeof(address));
    *ret_size = (socklen_t)sizeof(address);
    return 0;
}

const char *unix_path(const struct sockaddr_storage *address)
{
    return (const char *)address + offsetof(struct sockaddr_un, sun_path);
}

/* Whether the socket is somebody's: of a process that listens, has a full backlog, keeps us out, or
 * takes datagrams. */
static bool is_live(const struct sockaddr_storage *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool live = fd >= 0 && (!connect(fd, (const struct sockaddr *)address,
                                     (socklen_t)sizeof(struct sockaddr_un)) ||
                            errno != ECONNREFUSED);
    if (fd >= 0)
        close(fd);
    return live;
}

/* Whether the place is free, or has a socket on which nobody listens. */
static int check_place(const struct sockaddr_storage *address)
{
    struct stat at;
    if (lstat(unix_path(address), &at))
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(at.st_mode))
        return -EEXIST;
    return is_live(address) ? -EADDRINUSE : 0;
}

static int give_rights(const char *path, struct unix_place *place)
{
    struct stat at;
    if (place->group != (gid_t)-1 && chown(path, (uid_t)-1, place->group))
        return -errno;
    if (chmod(path, place->mode) || lstat(path, &at))
        return -errno;
    place->device = at.st_dev;
    place->inode = at.st_ino;
    return 0;
}

static int listen_beside(int fd, const struct sockaddr_storage *address, struct unix_place *place)
{
    char path[PATH_SIZE];
    struct sockaddr_storage other;
    socklen_t size;
    (void)snprintf(path, sizeof(path), "%s%s", unix_path(address), beside);
    (void)unlink(path);
    other = *address;
    size = (socklen_t)sizeof(struct sockaddr_un);
    memcpy((char *)&other + offsetof(struct sockaddr_un, sun_path), path, sizeof(path));
    if (bind(fd, (const struct sockaddr *)&other, size))
        return -errno;
    int result = give_rights(path, place);
    if (!result && (listen(fd, BACKLOG) || rename(path, unix_path(address))))
        result = -errno;
    if (result)
        (void)unlink(path);
    return result;
}

static int lock_within_time(int fd)
{
    const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (!flock(fd, LOCK_EX | LOCK_NB))
            return 0;
        if (errno != EWOULDBLOCK)
            return -errno;
        (void)nanosleep(&pause, NULL);
    }
    return -EBUSY;
}

/* Locks the folder of the path. Returns its descriptor, whose end unlocks it. */
static int lock_folder(const char *path)
{
    char room[PATH_SIZE];
    (void)snprintf(room, sizeof(room), "%s", path);
    int fd = open(dirname(room), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int result = lock_within_time(fd);
    if (result)
        close(fd);
    return result ? result : fd;
}

int unix_listen(const struct sockaddr_storage *address, struct unix_place *place, int *ret_fd)
{
    int lock = lock_folder(unix_path(address));
    *ret_fd = -1;
    if (lock < 0)
        return lock;
    int result = check_place(address), fd = -1;
    if (!result && (fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) < 0)
        result = -errno;
    mode_t mask = umask(0777); /* until it has its rights, nobody may connect */
    if (!result)
        result = listen_beside(fd, address, place);
    (void)umask(mask);
    close(lock);
    if (result && fd >= 0)
        close(fd);
    *ret_fd = result ? -1 : fd;
    return result;
}

void unix_remove(const struct sockaddr_storage *address, const struct unix_place *place)
{
    struct stat at;
    const char *path = unix_path(address);
    if (place->inode && !lstat(path, &at) && at.st_dev == place->device &&
        at.st_ino == place->inode)
        (void)unlink(path);
}
