#include "net/conn.h"

#include "base/budget.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Unsent bytes that the kernel may hold for a peer. Without this limit a peer that never reads
 * takes megabytes of kernel memory. */
enum { NOTSENT_LOWAT = 64 * 1024 };

enum { EVENTS = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET };

static void ready(struct watch *watch, uint32_t events)
{
    struct conn *conn = container_of(watch, struct conn, watch);
    if (conn->dead)
        return;
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        conn->readable = true;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        conn->hup = true;
    /* epoll reports EPOLLOUT together with other events. Only a socket that was full needs to act
     * on it. */
    if (events & EPOLLOUT && !conn->writable) {
        conn->writable = true;
        conn_dirty_again(conn);
    }
    if (events & EPOLLERR)
        conn->ops->hung_up(conn);
    else if (conn->readable)
        conn->ops->readable(conn);
}

uint32_t net_next_id(struct net *net)
{
    uint32_t id = net->id_next;
    net->id_next += net->id_step;
    return id ? id : net->id_step;
}

int conn_init(struct conn *conn, struct net *net, int fd, unsigned wire, const struct conn_ops *ops)
{
    int one = 1, lowat = NOTSENT_LOWAT;
    *conn = (struct conn){.watch = {ready},
                          .ops = ops,
                          .net = net,
                          .fd = fd,
                          .writable = true,
                          .wire = (uint8_t)wire};
    conn->id = net_next_id(net);
    /* Both calls fail on a socket that is not TCP, which is fine. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof(lowat));
    int result = loop_watch(net->loop, fd, EVENTS, &conn->watch);
    if (result)
        close(fd);
    else
        net->conns++;
    return result;
}

/* Of a wire that seals, the owner was told that all was taken. If the socket is full, `fill` is
 * asked once more, only to be told so: see tell_full() in flush.c. */
static bool may_fill(const struct conn *conn)
{
    return conn->writable || conn_wire(conn)->seal;
}

/* The kernel tells the new watch again of what it had told the old one. */
int conn_hand_over(struct conn *from, struct conn *to, const struct conn_ops *ops)
{
    *to = *from;
    to->ops = ops;
    to->dirty = to->node = (struct list){0};
    to->late = to->behind = false;
    int result = loop_rewatch(from->net->loop, from->fd, EVENTS, &to->watch);
    if (result)
        return result;
    if (conn_wire(to)->moved)
        conn_wire(to)->moved(to);
    from->fd = -1;
    from->place = 0;
    from->net->conns++;
    conn_close(from);
    return 0;
}

void conn_dirty(struct conn *conn)
{
    if (!may_fill(conn) || conn->dead || (list_linked(&conn->dirty) && !conn->late))
        return;
    list_remove(&conn->dirty);
    list_add_last(&conn->net->dirty, &conn->dirty);
    conn->late = false;
}

void conn_dirty_later(struct conn *conn)
{
    if (!may_fill(conn) || conn->dead || list_linked(&conn->dirty))
        return;
    list_add_last(&conn->net->later, &conn->dirty);
    conn->late = true;
}

void conn_dirty_again(struct conn *conn)
{
    if (conn->behind)
        conn_dirty_later(conn);
    else
        conn_dirty(conn);
}

int conn_read(struct conn *conn, struct str *ret_bytes)
{
    if (!conn->readable)
        return 0;
    bool drained = false;
    int n = conn_wire(conn)->read(conn, conn->net->read_room, NET_READ_SIZE, &drained);
    if (n > 0) {
        *ret_bytes = (struct str){conn->net->read_room, (size_t)n};
        /* Edge-triggered: after a short read the kernel has no more until it says so. If the peer
         * is done sending, a last read must follow to find the end. */
        if (drained && !conn->hup)
            conn->readable = false;
        return n;
    }
    if (n == 0)
        return -EPIPE;
    if (n != -EAGAIN)
        return n;
    conn->readable = false;
    return 0;
}

bool conn_has_unread(const struct conn *conn)
{
    char byte;
    const struct wire *wire = conn_wire(conn);
    if (conn->dead)
        return false;
    return (wire->has_unread && wire->has_unread(conn)) ||
           recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

void conn_close(struct conn *conn)
{
    if (conn->dead)
        return;
    conn->dead = true;
    list_remove(&conn->dirty);
    conn->net->conns--;
    list_add_last(&conn->net->dead, &conn->dirty);
}

void conn_bury_first(struct conn *conn)
{
    if (!conn->dead || !list_linked(&conn->dirty))
        return;
    list_remove(&conn->dirty);
    list_add_first(&conn->net->dead, &conn->dirty);
}

static void bury(struct conn *conn)
{
    if (!conn_is_handed_over(conn)) {
        clients_remove(&conn->net->proxied, conn->id);
        clients_remove(&conn->net->forwarded, conn->id);
        conn_wire(conn)->close(conn);
    }
    conn->ops->closed(conn);
}

bool net_bury(struct net *net)
{
    if (list_empty(&net->dead))
        return false;
    struct budget budget;
    budget_begin(&budget, net->loop->clock, NET_BURY_US, (int64_t)NET_BURY * BUDGET_STRIDE);
    for (struct list *node; (node = list_take_first(&net->dead));) {
        bury(container_of(node, struct conn, dirty));
        if (!budget_spend(&budget, BUDGET_STRIDE))
            break;
    }
    net->burials_cut += !list_empty(&net->dead);
    return !list_empty(&net->dead);
}

/* ---- delivery -------------------------------------------------------------------------------- */

int conn_ask_tcp(int fd, struct conn_delivery *ret)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof(info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size))
        return -errno;
    *ret = (struct conn_delivery){.unacked = info.tcpi_unacked > 0,
                                  .probes = info.tcpi_probes,
                                  .ack_ms = info.tcpi_last_ack_recv};
    return 0;
}

/* A single unanswered probe is normal: the peer may be about to answer it. */
bool conn_is_deserted(const struct conn *conn, int64_t ms)
{
    struct conn_delivery delivery;
    if (conn->net->ask_delivery(conn->fd, &delivery))
        return false;
    return (delivery.unacked || delivery.probes > 1) && delivery.ack_ms >= ms;
}
