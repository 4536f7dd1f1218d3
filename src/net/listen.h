/* A listening socket of one thread; several threads listen on one address and the kernel spreads.
 */
#pragma once

#include "net/conn.h"

#include <netinet/in.h>

struct listener {
    struct watch watch;
    struct loop *loop;
    int fd;
    bool paused;        /* out of descriptors: waits for resume() */
    struct timer retry; /* … or for this, since another thread may free them */
    /* A new connection; takes over the fd. */
    void (*accepted)(struct listener *listener, int fd);
};

/* Parses "127.0.0.1:7070", "[::1]:7070" or "localhost:7070". -EINVAL when it is none of these. */
int listen_parse(const char *text, struct sockaddr_storage *ret_address, socklen_t *ret_size);

/* Whether the address is in a loopback network. */
bool listen_is_loopback(const struct sockaddr_storage *address);

/* "127.0.0.1:7070" into out. */
void listen_format(const struct sockaddr_storage *address, char *out, size_t size);

/* Binds with SO_REUSEPORT and listens. A port of 0 is replaced in `address` by the one given. */
int listener_init(struct listener *listener, struct loop *loop, struct sockaddr_storage *address,
                  socklen_t size, void (*accepted)(struct listener *listener, int fd));
void listener_deinit(struct listener *listener);

/* Accepts again after descriptors ran out. Does nothing when it does so already. */
void listener_resume(struct listener *listener);
