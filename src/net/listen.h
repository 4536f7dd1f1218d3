/* A listening socket of one thread; several threads listen on one address, and the kernel spreads
 * connections over them. */
#pragma once

#include "net/conn.h"
#include "net/unix_socket.h"

#include <netinet/in.h>

struct listener {
    struct watch watch;
    struct loop *loop;
    int fd;
    bool shared;        /* other threads accept from the same descriptor */
    bool paused;        /* out of descriptors: waits for listener_resume() */
    struct timer retry; /* … or for this timer, since another thread may free descriptors */
    /* Hands over a new connection; the callee owns the fd. */
    void (*accepted)(struct listener *listener, int fd);
};

/* Parses "127.0.0.1:7070" or "[::1]:7070". Returns -EINVAL if the text is neither. */
int listen_parse(const char *text, struct sockaddr_storage *ret_address, socklen_t *ret_size);

/* A name may stand for several addresses. */
enum { LISTEN_NAME_MAX = 2 };

struct listen_address {
    struct sockaddr_storage at;
    socklen_t size;
    bool optional; /* no error if this machine does not have it */
    uint8_t door;  /* the owner's word of its connections */
    bool shared; /* all threads accept from `fd`, which listens; the owner of the address closes it
                  */
    int fd;
    struct unix_place place; /* of a Unix socket */
    uint8_t nth;             /* of the owner's list: a name's addresses have one port */
    bool taken;              /* the owner has a socket that listens there */
    bool passed; /* another process has made the socket: its file stays when this one ends */
};

/* The same, "unix:PATH", and "localhost:7070": 127.0.0.1, and ::1 if there is IPv6, since clients
 * may take either. Returns the number of addresses, or -EINVAL. */
int listen_parse_all(const char *text, struct listen_address ret[LISTEN_NAME_MAX]);

/* The port; 0 stands for any that is free. */
unsigned listen_port(const struct listen_address *address);
void listen_set_port(struct listen_address *address, unsigned port);

/* A port that is free at the address now; 0 when there is none. */
unsigned listen_find_port(const struct listen_address *address);

/* Whether both are the same place to listen, whatever else is known of them. */
bool listen_is_same(const struct listen_address *a, const struct listen_address *b);

/* Whether a socket at one address holds the other as well: the same, or the same port where either
 * is 0.0.0.0 or [::]. */
bool listen_overlaps(const struct listen_address *a, const struct listen_address *b);

/* Whether the errno says that the machine does not have the address, or no addresses of that
 * family. */
bool listen_is_missing(int error);

/* Whether only this machine reaches the address: a loopback network, or a Unix socket that keeps
 * other users out. */
bool listen_is_local(const struct listen_address *address);

static inline bool listen_is_unix(const struct listen_address *address)
{
    return address->at.ss_family == AF_UNIX;
}

/* Writes the address to `out`, such as "127.0.0.1:7070" or "unix:/run/freshet.sock"; a Unix
 * socket with an abstract name is "unix:@NAME". */
void listen_format(const struct sockaddr_storage *address, char *out, size_t size);

/* Takes the address for all threads: a descriptor that listens, in `fd`. Its owner closes it. A
 * port of 0 is replaced. `joins` as below. */
int listen_take(struct listen_address *address, bool joins);

/* Binds and listens. A port of 0 is replaced in `address` by the one given. Fails with -EADDRINUSE
 * if any socket listens there, however many processes try at the same moment. With `joins` it may
 * share the port with sockets that this function or listen_take() has made for the same user: it is
 * for the further sockets of a process that has the port. */
int listener_init(struct listener *listener, struct loop *loop, struct sockaddr_storage *address,
                  socklen_t size, bool joins, void (*accepted)(struct listener *listener, int fd));

/* The same for a descriptor that listens already, of which it takes a copy. */
int listener_init_shared(struct listener *listener, struct loop *loop, int fd,
                         void (*accepted)(struct listener *listener, int fd));
void listener_deinit(struct listener *listener);

/* Hands over the connections that wait to be accepted: their clients may have sent requests, and
 * listener_deinit() would reset them. */
void listener_accept_rest(struct listener *listener);

/* Accepts again after descriptors ran out. Does nothing if the listener is not paused. */
void listener_resume(struct listener *listener);
