#include "publish/maker.h"

#include "net/conn.h"

#include <netinet/in.h>
#include <sys/socket.h>

/* The maker for a publish whose connection is gone. */
enum { NOBODY = 1 };

/* An IPv6 network of 64 bits counts as one address, since its owner has all of it. */
static uint64_t address_of(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } peer = {.any.sa_family = AF_UNSPEC};
    socklen_t size = sizeof(peer);
    uint64_t id = 0;
    if (getpeername(fd, &peer.any, &size))
        return NOBODY;
    if (peer.any.sa_family == AF_INET)
        return (uint64_t)1 << 32 | peer.v4.sin_addr.s_addr;
    if (peer.any.sa_family == AF_INET6)
        memcpy(&id, &peer.v6.sin6_addr, sizeof(id));
    return id ? id : NOBODY;
}

struct maker maker_of(const struct log *log, const struct publisher *publisher)
{
    struct maker maker = {{0}};
    const struct conn *conn = publisher->conn;
    if (log_wants_makers(log) && !publisher->is_server) {
        maker.ids[MAKER_ADDRESS] = conn ? address_of(conn->fd) : NOBODY;
        maker.ids[MAKER_CONNECTION] = conn ? conn->id : NOBODY;
    }
    return maker;
}
