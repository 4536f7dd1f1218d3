#include "net/listen.h"

#include "base/say.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Threads that share a descriptor take few connections at a time, so that a burst is divided among
 * them. Between descriptors of their own the kernel divides. */
enum { BACKLOG = 4096, ACCEPTS_A_TURN = 64, ACCEPTS_SHARED = 8, RETRY_MS = 1000 };

static int parse_port(const char *text, in_port_t *ret_port)
{
    unsigned long port = 0;
    for (const char *c = text; *c; c++) {
        if (*c < '0' || *c > '9' || (port = port * 10 + (unsigned long)(*c - '0')) > 65535)
            return -EINVAL;
    }
    *ret_port = htons((uint16_t)port);
    return *text ? 0 : -EINVAL;
}

int listen_parse(const char *text, struct sockaddr_storage *ret_address, socklen_t *ret_size)
{
    char host[64];
    const char *colon = strrchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : 0;
    in_port_t port;
    if (!len || len >= sizeof(host) || parse_port(colon + 1, &port))
        return -EINVAL;
    memcpy(host, text, len);
    host[len] = '\0';
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = port};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = port};
    len = strlen(host);
    *ret_address = (struct sockaddr_storage){0};
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        memcpy(ret_address, &v4, *ret_size = sizeof(v4));
        return 0;
    }
    if (host[0] != '[' || host[len - 1] != ']')
        return -EINVAL;
    host[len - 1] = '\0';
    if (inet_pton(AF_INET6, host + 1, &v6.sin6_addr) != 1)
        return -EINVAL;
    memcpy(ret_address, &v6, *ret_size = sizeof(v6));
    return 0;
}

/* Returns 1, or -EINVAL. */
static int parse_unix(const char *path, struct listen_address *ret)
{
    ret->place = (struct unix_place){.mode = UNIX_MODE_DEFAULT, .group = (gid_t)-1};
    return unix_address(path, &ret->at, &ret->size) ? -EINVAL : 1;
}

int listen_parse_all(const char *text, struct listen_address ret[LISTEN_NAME_MAX])
{
    static const char name[] = "localhost:", file[] = "unix:";
    static const char *const hosts[] = {"127.0.0.1", "[::1]"};
    char each[64];
    memset(ret, 0, LISTEN_NAME_MAX * sizeof(*ret));
    if (strncmp(text, file, sizeof(file) - 1) == 0)
        return parse_unix(text + sizeof(file) - 1, &ret[0]);
    if (strncmp(text, name, sizeof(name) - 1) != 0) {
        return listen_parse(text, &ret[0].at, &ret[0].size) ? -EINVAL : 1;
    }
    for (int i = 0; i < 2; i++) {
        int len = snprintf(each, sizeof(each), "%s:%s", hosts[i], text + sizeof(name) - 1);
        if (len >= (int)sizeof(each) || listen_parse(each, &ret[i].at, &ret[i].size))
            return -EINVAL;
        ret[i].optional = i > 0;
    }
    return 2;
}

static in_port_t port_of(const struct sockaddr_storage *address)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    memcpy(&v4, address, sizeof(v4));
    memcpy(&v6, address, sizeof(v6));
    return address->ss_family == AF_INET ? v4.sin_port : v6.sin6_port;
}

unsigned listen_port(const struct listen_address *address)
{
    return ntohs(port_of(&address->at));
}

void listen_set_port(struct listen_address *address, unsigned port)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    memcpy(&v4, &address->at, sizeof(v4));
    memcpy(&v6, &address->at, sizeof(v6));
    v4.sin_port = v6.sin6_port = htons((uint16_t)port);
    if (address->at.ss_family == AF_INET)
        memcpy(&address->at, &v4, sizeof(v4));
    else
        memcpy(&address->at, &v6, sizeof(v6));
}

unsigned listen_find_port(const struct listen_address *address)
{
    struct listen_address found = *address;
    socklen_t size = sizeof(found.at);
    int fd = socket(address->at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return 0;
    bool is_bound = !bind(fd, (const struct sockaddr *)&address->at, address->size) &&
                    !getsockname(fd, (struct sockaddr *)&found.at, &size);
    close(fd);
    return is_bound ? listen_port(&found) : 0;
}

static bool has_same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    if (a->ss_family == AF_INET) {
        struct sockaddr_in left, right;
        memcpy(&left, a, sizeof(left));
        memcpy(&right, b, sizeof(right));
        return left.sin_addr.s_addr == right.sin_addr.s_addr;
    }
    struct sockaddr_in6 left, right;
    memcpy(&left, a, sizeof(left));
    memcpy(&right, b, sizeof(right));
    return IN6_ARE_ADDR_EQUAL(&left.sin6_addr, &right.sin6_addr);
}

bool listen_is_same(const struct listen_address *a, const struct listen_address *b)
{
    if (a->at.ss_family != b->at.ss_family)
        return false;
    if (listen_is_unix(a))
        return *unix_path(&a->at) && strcmp(unix_path(&a->at), unix_path(&b->at)) == 0;
    return listen_port(a) == listen_port(b) && has_same_host(&a->at, &b->at);
}

static bool is_any(const struct listen_address *address)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    memcpy(&v4, &address->at, sizeof(v4));
    memcpy(&v6, &address->at, sizeof(v6));
    return address->at.ss_family == AF_INET ? v4.sin_addr.s_addr == htonl(INADDR_ANY)
                                            : IN6_IS_ADDR_UNSPECIFIED(&v6.sin6_addr);
}

bool listen_overlaps(const struct listen_address *a, const struct listen_address *b)
{
    if (listen_is_same(a, b))
        return true;
    return !listen_is_unix(a) && !listen_is_unix(b) && listen_port(a) == listen_port(b) &&
           (is_any(a) || is_any(b));
}

bool listen_is_missing(int error)
{
    return error == EADDRNOTAVAIL || error == EAFNOSUPPORT;
}

static bool is_loopback(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof(v4));
        return (ntohl(v4.sin_addr.s_addr) >> 24) == 127;
    }
    struct sockaddr_in6 v6;
    memcpy(&v6, address, sizeof(v6));
    return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
}

bool listen_is_local(const struct listen_address *address)
{
    return listen_is_unix(address) ? unix_is_private(&address->place) : is_loopback(&address->at);
}

void listen_format(const struct sockaddr_storage *address, char *out, size_t size)
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->ss_family == AF_UNIX) {
        const char *path = unix_path(address);
        snprintf(out, size, "unix:%s%s", *path ? "" : "@", *path ? path : path + 1);
        return;
    }
    if (address->ss_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof(v4));
        inet_ntop(AF_INET, &v4.sin_addr, host, sizeof(host));
        snprintf(out, size, "%s:%u", host, ntohs(v4.sin_port));
        return;
    }
    struct sockaddr_in6 v6;
    memcpy(&v6, address, sizeof(v6));
    inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof(host));
    snprintf(out, size, "[%s]:%u", host, ntohs(v6.sin6_port));
}

/* The socket is level-triggered: if it stayed watched, the loop would spin until a descriptor is
 * free. */
static void pause_accepting(struct listener *listener, int error)
{
    say(SAY_WARN, "accept_paused", "error=%d", error);
    (void)loop_rewatch(listener->loop, listener->fd, 0, &listener->watch);
    listener->paused = true;
    timer_set(listener->loop, &listener->retry, RETRY_MS);
}

static void ring_retry(struct timer *timer)
{
    listener_resume(container_of(timer, struct listener, retry));
}

static void accept_some(struct listener *listener, int most)
{
    for (int i = 0; i < most; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            listener->accepted(listener, fd);
            continue;
        }
        int error = errno;
        if (error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS)
            pause_accepting(listener, error);
        if (error != EINTR && error != ECONNABORTED)
            return;
    }
}

static void ready(struct watch *watch, uint32_t events)
{
    struct listener *listener = container_of(watch, struct listener, watch);
    (void)events;
    accept_some(listener, listener->shared ? ACCEPTS_SHARED : ACCEPTS_A_TURN);
}

void listener_accept_rest(struct listener *listener)
{
    if (listener->fd >= 0)
        accept_some(listener, BACKLOG);
}

void listener_resume(struct listener *listener)
{
    if (!listener->paused)
        return;
    listener->paused = false;
    timer_stop(&listener->retry);
    (void)loop_rewatch(listener->loop, listener->fd, EPOLLIN, &listener->watch);
}

static int allow(int fd, int option)
{
    int one = 1;
    return setsockopt(fd, SOL_SOCKET, option, &one, sizeof(one));
}

/* With SO_REUSEPORT a second server of the same user could join silently. So the first socket of an
 * address is bound without the option, which the kernel grants to one process alone. The option is
 * set once that socket listens: from then on the server's other threads may join. */
static int bind_and_listen(int fd, struct sockaddr_storage *address, socklen_t size, bool joins)
{
    if (allow(fd, SO_REUSEADDR) || (joins && allow(fd, SO_REUSEPORT)) ||
        bind(fd, (const struct sockaddr *)address, size) || listen(fd, BACKLOG) ||
        (!joins && allow(fd, SO_REUSEPORT)) || getsockname(fd, (struct sockaddr *)address, &size))
        return -errno;
    return 0;
}

int listen_take(struct listen_address *address, bool joins)
{
    int fd = socket(address->at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int result = fd < 0 ? -errno : bind_and_listen(fd, &address->at, address->size, joins);
    if (result && fd >= 0)
        close(fd);
    address->shared = !result;
    address->fd = result ? -1 : fd;
    return result;
}

int listener_init(struct listener *listener, struct loop *loop, struct sockaddr_storage *address,
                  socklen_t size, bool joins, void (*accepted)(struct listener *listener, int fd))
{
    *listener = (struct listener){
        .watch = {ready}, .loop = loop, .retry = {.ring = ring_retry}, .accepted = accepted};
    listener->fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener->fd < 0)
        return -errno;
    int result = bind_and_listen(listener->fd, address, size, joins);
    if (!result)
        result = loop_watch(loop, listener->fd, EPOLLIN, &listener->watch);
    if (result) {
        close(listener->fd);
        listener->fd = -1;
    }
    return result;
}

int listener_init_shared(struct listener *listener, struct loop *loop, int fd,
                         void (*accepted)(struct listener *listener, int fd))
{
    *listener = (struct listener){.watch = {ready},
                                  .loop = loop,
                                  .retry = {.ring = ring_retry},
                                  .accepted = accepted,
                                  .shared = true};
    listener->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (listener->fd < 0)
        return -errno;
    int result = loop_watch(loop, listener->fd, EPOLLIN, &listener->watch);
    if (result) {
        close(listener->fd);
        listener->fd = -1;
    }
    return result;
}

void listener_deinit(struct listener *listener)
{
    if (listener->fd < 0)
        return;
    timer_stop(&listener->retry);
    loop_unwatch(listener->loop, listener->fd);
    close(listener->fd);
    listener->fd = -1;
}
