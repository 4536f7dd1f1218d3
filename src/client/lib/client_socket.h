/* A connected, non-blocking socket of a client, plain or with TLS over it. */
#pragma once

#include "client/lib/tls_client.h"

#include <sys/types.h>

/* For one thread at a time. */
struct client_socket {
    int fd;          /* -1: none */
    SSL *ssl;        /* NULL: plain */
    short waits_for; /* after -EAGAIN: POLLIN or POLLOUT */
};

/* Gives the socket TLS, if `tls` is not NULL: then the handshake follows. Returns 0 or -ENOMEM. */
int client_socket_secure(struct client_socket *socket, struct tls_client *tls);

/* Goes on with the handshake: 0 when it is done, at once without TLS; -EAGAIN; or -EPROTO with the
 * reason for client_socket_explain(). */
int client_socket_shake(struct client_socket *socket);

/* Returns the number of bytes, 0 at the end (of recv), -EAGAIN, or another negative errno. A send
 * after -EAGAIN begins with the same bytes. */
ssize_t client_socket_recv(struct client_socket *socket, char *room, size_t size);
ssize_t client_socket_send(struct client_socket *socket, struct str bytes);

/* Whether more may be at hand after a recv of `size` bytes that has returned `got`. */
static inline bool client_socket_has_more(const struct client_socket *socket, ssize_t got,
                                          size_t size)
{
    return got > 0 && (socket->ssl || (size_t)got == size);
}

/* Adds a sentence about a negative errno of the functions above. */
void client_socket_explain(const struct client_socket *socket, int error, struct buf *out);

/* Closes it; does nothing if there is none. */
void client_socket_close(struct client_socket *socket);
