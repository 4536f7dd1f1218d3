/* Sends the bytes of dirty connections in slices, so that mail and sockets are looked at
 * between. */
#include "net/conn.h"
#include "net/uring.h"

#include "base/budget.h"
#include "base/say.h"

#include <errno.h>
#include <stdlib.h>

int net_init(struct net *net, struct loop *loop, unsigned thread, unsigned threads)
{
    *net = (struct net){
        .loop = loop, .id_next = thread + 1, .id_step = threads, .ask_delivery = conn_ask_tcp};
    list_init(&net->dirty);
    list_init(&net->later);
    list_init(&net->dead);
    net->read_room = mem_alloc(NET_READ_SIZE);
    return net_add_wire(net, &wire_plain);
}

int net_add_wire(struct net *net, const struct wire *wire)
{
    if (net->wires_count == NET_WIRES_MAX)
        return -ENOSPC;
    net->wires[net->wires_count] = wire;
    return (int)net->wires_count++;
}

bool net_use_uring(struct net *net)
{
    net->uring = uring_new(NET_SLICE);
    return net->uring != NULL;
}

void net_deinit(struct net *net)
{
    net->uring = uring_free(net->uring);
    free(net->read_room);
}

struct slice {
    struct budget budget;
    struct conn *conns[NET_SLICE];
    struct uring_send sends[NET_SLICE];
    unsigned count;
};

/* Removes the connections that a later `fill` has closed: their descriptors may be reused. */
static void drop_dead(struct slice *slice)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < slice->count; i++) {
        if (slice->conns[i]->dead)
            continue;
        slice->conns[kept] = slice->conns[i];
        slice->sends[kept++] = slice->sends[i];
    }
    slice->count = kept;
}

/* Asks up to `most` connections of a list for bytes. Returns how many were asked, including those
 * without bytes: a page may have been made for them. */
static unsigned gather_from(struct slice *slice, struct list *list, unsigned most)
{
    unsigned asked = 0;
    while (asked < most && !list_empty(list) && !budget_is_spent(&slice->budget)) {
        struct conn *conn = container_of(list_take_first(list), struct conn, dirty);
        struct str bytes = conn->dead ? STR_NONE : conn->ops->fill(conn);
        asked++;
        /* A `fill` without bytes may have been work too, such as a search among deleted events. */
        (void)budget_spend(&slice->budget,
                           bytes.len ? bytes.len + NET_ASK_COST : BUDGET_STRIDE / 4);
        if (conn->dead || !bytes.len)
            continue;
        /* The `fill` may have made its connection dirty again. Its bytes hold that change, or the
         * next `fill`, asked once these are sent, does. */
        list_remove(&conn->dirty);
        slice->conns[slice->count] = conn;
        slice->sends[slice->count++] = (struct uring_send){conn->fd, bytes, 0};
    }
    return asked;
}

/* Gathers new events first. Connections that catch up have a budget of their own, so that they do
 * not wait for ever. */
static void gather(struct net *net, struct slice *slice)
{
    slice->count = 0;
    budget_begin_late(&slice->budget, net->loop->clock, NET_SLICE_US, NET_SLICE_BYTES);
    unsigned most = list_empty(&net->later) ? NET_SLICE : NET_SLICE - NET_LATER;
    unsigned room = NET_SLICE - gather_from(slice, &net->dirty, most);
    bool cut = budget_is_spent(&slice->budget);
    if (!list_empty(&net->later))
        budget_begin_late(&slice->budget, net->loop->clock, NET_SLICE_US, NET_SLICE_BYTES);
    gather_from(slice, &net->later, room < NET_LATER ? room : NET_LATER);
    net->slices_cut += cut || budget_is_spent(&slice->budget);
    drop_dead(slice);
}

static void send_one(struct conn *conn, struct uring_send *send_)
{
    send_->result = conn_wire(conn)->write(conn, send_->bytes);
}

/* Moves what is plain to the front. Returns its number. */
static unsigned put_plain_first(const struct net *net, struct slice *slice)
{
    unsigned plain = 0;
    if (net->wires_count == 1)
        return slice->count; /* the usual case */
    for (unsigned i = 0; i < slice->count; i++) {
        struct conn *conn = slice->conns[i];
        struct uring_send send_ = slice->sends[i];
        if (!conn_wire(conn)->is_plain)
            continue;
        slice->conns[i] = slice->conns[plain];
        slice->sends[i] = slice->sends[plain];
        slice->conns[plain] = conn;
        slice->sends[plain++] = send_;
    }
    return plain;
}

/* Sends what is plain in one submission. Returns how many of the slice were sent so. */
static unsigned submit_plain(struct net *net, struct slice *slice)
{
    unsigned plain = put_plain_first(net, slice);
    if (!net->uring || plain < 2) /* a single send is cheaper without the ring */
        return 0;
    int result = uring_send_all(net->uring, slice->sends, plain);
    if (!result)
        return plain;
    /* Bytes may or may not have gone out, so these connections must be closed. */
    say(SAY_WARN, "io_uring_failed", "error=%d sends=plain", -result);
    net->uring = uring_free(net->uring);
    for (unsigned i = 0; i < plain; i++)
        slice->sends[i].result = -EIO;
    return plain;
}

/* Sends all of a slice. */
static void send_all(struct net *net, struct slice *slice)
{
    for (unsigned i = submit_plain(net, slice); i < slice->count; i++)
        send_one(slice->conns[i], &slice->sends[i]);
}

static void settle(struct net *net, struct conn *conn, const struct uring_send *send_)
{
    size_t n = send_->result > 0 ? (size_t)send_->result : 0;
    if (conn->dead)
        return; /* closed by the callback of another connection */
    if (send_->result < 0 && send_->result != -EAGAIN && send_->result != -EINTR) {
        (void)conn->ops->sent(conn, 0);
        if (!conn->dead)
            conn->ops->hung_up(conn);
        return;
    }
    net->sends++;
    net->bytes_sent += n;
    if (n < send_->bytes.len)
        conn->writable = false; /* until epoll says otherwise */
    if (conn->ops->sent(conn, n))
        conn_dirty_again(conn);
}

void conn_flush(struct conn *conn)
{
    if (conn->dead || !conn->writable)
        return;
    list_remove(&conn->dirty);
    struct str bytes = conn->ops->fill(conn);
    if (conn->dead || !bytes.len)
        return;
    struct uring_send alone = {conn->fd, bytes, 0};
    list_remove(&conn->dirty); /* dirty again because of this `fill`, as in gather() */
    send_one(conn, &alone);
    settle(conn->net, conn, &alone);
}

bool net_flush(struct net *net)
{
    struct slice slice;
    gather(net, &slice);
    send_all(net, &slice);
    for (unsigned i = 0; i < slice.count; i++)
        settle(net, slice.conns[i], &slice.sends[i]);
    return net_is_dirty(net);
}
