#include "server/activation.h"

#include "base/environment.h"
#include "base/say.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIRST = 3 };

uint8_t activation_door(struct str name)
{
    static const char admin[] = "admin";
    size_t len = sizeof(admin) - 1;
    if (!str_starts(name, STR("admin")))
        return listening_door(name);
    if (name.len == len)
        return DOOR_ADMIN;
    return name.at[len] == '+' ? listening_door(str_skip(name, len + 1)) | DOOR_ADMIN : 0;
}

/* ---- one socket ------------------------------------------------------------------------------ */

static bool is_listening_stream(int fd)
{
    int type = 0, listens = 0;
    socklen_t size = sizeof(type);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) || type != SOCK_STREAM)
        return false;
    size = sizeof(listens);
    return !getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) && listens;
}

static bool is_known_family(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET || address->ss_family == AF_INET6 ||
           address->ss_family == AF_UNIX;
}

/* The rights of the file decide who may connect; a socket with an abstract name is open to all. */
static void look_at_file(struct listen_address *address)
{
    struct stat at;
    const char *path = unix_path(&address->at);
    bool found = *path && !lstat(path, &at) && S_ISSOCK(at.st_mode);
    address->place =
        (struct unix_place){.mode = found ? at.st_mode & 0777 : 0777, .group = (gid_t)-1};
}

/* Keeps the socket from other programs, and from blocking a worker. */
static bool prepare(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && !fcntl(fd, F_SETFD, FD_CLOEXEC) && !fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

static const char *take(int fd, struct str name, struct listen_address *ret)
{
    *ret = (struct listen_address){.size = sizeof(ret->at), .shared = true, .passed = true};
    ret->fd = fd;
    ret->door = activation_door(name);
    if (!prepare(fd))
        return "is not open";
    if (!is_listening_stream(fd))
        return "is no stream socket that listens: a .socket unit has ListenStream= and Accept=no";
    if (getsockname(fd, (struct sockaddr *)&ret->at, &ret->size) || !is_known_family(&ret->at))
        return "is of a family that is not served: IPv4, IPv6 and Unix sockets are";
    if (!listen_is_unix(ret))
        return NULL;
    look_at_file(ret);
    return ret->door & ~DOOR_ADMIN ? "is a Unix socket: its FileDescriptorName= is http or admin"
                                   : NULL;
}

/* ---- all of them ----------------------------------------------------------------------------- */

/* How many sockets were passed to this process; 0 if they are for another, or there are none. */
static long count_passed(void)
{
    const char *pid = environment("LISTEN_PID"), *count = environment("LISTEN_FDS");
    if (!pid || !count || strtol(pid, NULL, 10) != (long)getpid())
        return 0;
    return strtol(count, NULL, 10);
}

static void take_each(struct activation *ret, unsigned count, struct faults *faults)
{
    const char *text = environment("LISTEN_FDNAMES");
    struct str names = text ? str_from(text) : STR_NONE;
    char at[40], quoted[80];
    for (unsigned i = 0; i < count; i++) {
        struct str name = str_cut(&names, ':');
        struct listen_address *address = &ret->addresses[ret->count];
        const char *why = take(FIRST + (int)i, name, address);
        address->nth = (uint8_t)ret->count;
        ret->count += !why;
        snprintf(at, sizeof(at), "LISTEN_FDS: socket %u", i + 1);
        if (why)
            faults_add(faults, NULL, at, "%s %s",
                       say_quote(quoted, sizeof(quoted), name.at ? name.at : "", name.len), why);
    }
}

int activation_take(struct activation *ret, struct faults *faults)
{
    unsigned before = faults->count;
    long count = count_passed();
    *ret = (struct activation){0};
    if (count < 0 || count > WORKER_LISTENERS_MAX)
        faults_add(faults, NULL, "LISTEN_FDS", "says %ld: %d sockets at most are served", count,
                   WORKER_LISTENERS_MAX);
    else
        take_each(ret, (unsigned)count, faults);
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
    return faults->count == before ? 0 : -EINVAL;
}
