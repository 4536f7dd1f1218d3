#include "client/lib/client_socket.h"

#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int client_socket_secure(struct client_socket *socket, struct tls_client *tls)
{
    socket->ssl = tls ? tls_client_connection(tls, socket->fd) : NULL;
    return tls && !socket->ssl ? -ENOMEM : 0;
}

/* The result of a call of OpenSSL that has returned `n`. */
static ssize_t outcome(struct client_socket *socket, int n)
{
    int error = n > 0 ? SSL_ERROR_NONE : SSL_get_error(socket->ssl, n);
    switch (error) {
    case SSL_ERROR_NONE:
        return n;
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        socket->waits_for = error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
        return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        return -errno; /* 0: the peer closed without a word of TLS */
    default:
        return -EPROTO;
    }
}

/* OpenSSL's errors are of the thread, and SSL_get_error() goes by the oldest. */
static void begin_call(struct client_socket *socket)
{
    ERR_clear_error();
    errno = 0;
    tls_client_look(socket->ssl);
}

int client_socket_shake(struct client_socket *socket)
{
    if (!socket->ssl)
        return 0;
    begin_call(socket);
    ssize_t result = outcome(socket, SSL_do_handshake(socket->ssl));
    if (result > 0)
        return 0;
    return result ? (int)result : -EPROTO;
}

ssize_t client_socket_recv(struct client_socket *socket, char *room, size_t size)
{
    if (socket->ssl) {
        begin_call(socket);
        return outcome(socket, SSL_read(socket->ssl, room, (int)size));
    }
    ssize_t n = recv(socket->fd, room, size, MSG_DONTWAIT);
    socket->waits_for = POLLIN;
    return n < 0 ? -errno : n;
}

ssize_t client_socket_send(struct client_socket *socket, struct str bytes)
{
    if (!bytes.len)
        return 0;
    if (socket->ssl) {
        begin_call(socket);
        ssize_t n = outcome(socket, SSL_write(socket->ssl, bytes.at, (int)bytes.len));
        return n ? n : -EPIPE;
    }
    ssize_t n = send(socket->fd, bytes.at, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    socket->waits_for = POLLOUT;
    return n < 0 ? -errno : n;
}

void client_socket_explain(const struct client_socket *socket, int error, struct buf *out)
{
    if (error == -EPROTO && socket->ssl)
        tls_client_explain(socket->ssl, out);
    else
        buf_add_str(out, str_from(strerror(-error)));
}

void client_socket_close(struct client_socket *socket)
{
    if (socket->ssl && SSL_is_init_finished(socket->ssl))
        (void)SSL_shutdown(socket->ssl);
    SSL_free(socket->ssl);
    socket->ssl = NULL;
    if (socket->fd >= 0)
        close(socket->fd);
    socket->fd = -1;
    ERR_clear_error();
}
