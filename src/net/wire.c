#include "net/wire.h"

#include "net/conn.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static int plain_read(struct conn *conn, char *room, size_t size, bool *ret_drained)
{
    ssize_t n;
    do {
        n = recv(conn->fd, room, size, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    *ret_drained = n < (ssize_t)size;
    return n < 0 ? -errno : (int)n;
}

int wire_send(int fd, struct str bytes)
{
    ssize_t n;
    do {
        n = send(fd, bytes.at, bytes.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : (int)n;
}

static void plain_shut(struct conn *conn)
{
    (void)shutdown(conn->fd, SHUT_WR);
}

static void plain_close(struct conn *conn)
{
    close(conn->fd); /* also takes it out of epoll */
}

const struct wire wire_plain = {.read = plain_read, .shut = plain_shut, .close = plain_close};
