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
    clients_init(&net->proxied);
    clients_init(&net->forwarded);
    net->read_room = mem_alloc(NET_READ_SIZE);
    return net_add_wire(net, &wire_plain);
}

int net_add_wire(struct net *net, const struct wire *wire)
{
    if (net->wires_count == NET_WIRES_MAX)
        return -ENOSPC;
    if (wire->seal && !net->sealed)
        net->sealed = mem_alloc(NET_SEALED_SIZE);
    net->wires[net->wires_count] = wire;
    return (int)net->wires_count++;
}

int net_use_uring(struct net *net)
{
    return uring_new(&net->uring, NET_SLICE);
}

void net_deinit(struct net *net)
{
    net->uring = uring_free(net->uring);
    clients_deinit(&net->proxied);
    clients_deinit(&net->forwarded);
    free(net->read_room);
    free(net->sealed);
}

struct slice {
    struct budget budget;
    struct conn *conns[NET_SLICE];
    struct uring_send sends[NET_SLICE];
    bool more[NET_SLICE]; /* of what was sealed: the owner has more to send */
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
        slice->more[kept] = slice->more[i];
        slice->sends[kept++] = slice->sends[i];
    }
    slice->count = kept;
}

/* Lets the owner know that nothing is taken now, since the wire still has what the socket did not
 * take. A subscriber then falls behind, and holds no event. */
static struct str tell_full(struct conn *conn)
{
    if (!conn->ops->fill(conn).len || conn->dead)
        return STR_NONE;
    (void)conn->ops->sent(conn, 0);
    list_remove(&conn->dirty);
    return STR_NONE;
}

enum add_result { ADDED, ADDED_LAST, ADDED_NONE, ADDED_FULL };

/* Has the owner add what it has to say next to the record. */
static enum add_result add_next(struct conn *conn)
{
    struct str bytes = conn->ops->fill(conn);
    if (conn->dead || !bytes.len)
        return ADDED_NONE;
    list_remove(&conn->dirty);
    size_t n = conn_wire(conn)->add(conn, bytes);
    bool more = conn->ops->sent(conn, n);
    if (n < bytes.len)
        return ADDED_FULL;
    return more || list_linked(&conn->dirty) ? ADDED : ADDED_LAST;
}

/* Gathers what the owner has to say into one record, as far as that goes, and seals it. An owner
 * without bytes may wait until the last of them are sent, to end its connection say. */
static struct str seal_next(struct conn *conn, bool *ret_more)
{
    struct str sealed = STR_NONE;
    enum add_result result;
    do {
        result = add_next(conn);
    } while (result == ADDED && !conn->dead);
    *ret_more = result != ADDED_LAST;
    if (conn_wire(conn)->seal(conn, &sealed) && !conn->dead)
        conn->ops->hung_up(conn);
    return sealed;
}

/* Returns the bytes for the socket. Those of a wire that changes them count as sent for the owner
 * from here. */
static struct str next_bytes(struct conn *conn, bool *ret_more)
{
    const struct wire *wire = conn_wire(conn);
    if (!wire->seal)
        return conn->ops->fill(conn);
    if (!conn->writable)
        return tell_full(conn);
    struct str rest = wire->rest(conn);
    *ret_more = true;
    return rest.len ? rest : seal_next(conn, ret_more);
}

/* Asks up to `most` connections of a list for bytes. Returns how many were asked, including those
 * without bytes: a page may have been made for them. */
static unsigned gather_from(struct slice *slice, struct list *list, unsigned most)
{
    unsigned asked = 0;
    while (asked < most && !list_empty(list) && !budget_is_spent(&slice->budget)) {
        struct conn *conn = container_of(list_take_first(list), struct conn, dirty);
        bool more = false;
        struct str bytes = conn->dead ? STR_NONE : next_bytes(conn, &more);
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
        slice->more[slice->count] = more;
        slice->sends[slice->count++] = (struct uring_send){conn->fd, bytes, 0};
    }
    return asked;
}

/* Gathers new events first. Connections that catch up have a budget of their own, so that they do
 * not wait for ever. */
static void gather(struct net *net, struct slice *slice)
{
    slice->count = 0;
    net->sealed_len = 0;
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

/* Sends what is to be sent of a slice in one submission. */
static void send_all(struct net *net, struct slice *slice)
{
    if (!net->uring || slice->count < 2) { /* a single send is cheaper without the ring */
        for (unsigned i = 0; i < slice->count; i++)
            slice->sends[i].result = wire_send(slice->sends[i].fd, slice->sends[i].bytes);
        return;
    }
    int result = uring_send_all(net->uring, slice->sends, slice->count);
    if (!result)
        return;
    /* Bytes may or may not have gone out, so these connections must be closed. */
    say(SAY_WARN, "io_uring_failed", "error=%d sends=plain", -result);
    net->uring = uring_free(net->uring);
    for (unsigned i = 0; i < slice->count; i++)
        slice->sends[i].result = -EIO;
}

static bool is_failure(int result)
{
    return result < 0 && result != -EAGAIN && result != -EINTR;
}

/* The owner was told before that what was sealed is sent. */
static void settle_sealed(struct conn *conn, const struct uring_send *send_, size_t n, bool more)
{
    if (is_failure(send_->result) || conn_wire(conn)->keep(conn, send_->bytes, n)) {
        conn->ops->hung_up(conn);
        return;
    }
    if (n == send_->bytes.len && more)
        conn_dirty_again(conn);
}

static void settle(struct net *net, struct conn *conn, const struct uring_send *send_, bool more)
{
    size_t n = send_->result > 0 ? (size_t)send_->result : 0;
    if (conn->dead)
        return; /* closed by the callback of another connection */
    bool sealed = conn_wire(conn)->seal;
    if (!sealed && is_failure(send_->result)) {
        (void)conn->ops->sent(conn, 0);
        if (!conn->dead)
            conn->ops->hung_up(conn);
        return;
    }
    net->sends++;
    net->bytes_sent += n;
    if (n < send_->bytes.len)
        conn->writable = false; /* until epoll says otherwise */
    if (sealed)
        settle_sealed(conn, send_, n, more);
    else if (conn->ops->sent(conn, n))
        conn_dirty_again(conn);
}

void conn_flush(struct conn *conn)
{
    bool more = false;
    if (conn->dead || !conn->writable)
        return;
    list_remove(&conn->dirty);
    conn->net->sealed_len = 0;
    struct uring_send alone = {conn->fd, next_bytes(conn, &more), 0};
    if (conn->dead || !alone.bytes.len)
        return;
    alone.result = wire_send(conn->fd, alone.bytes);
    settle(conn->net, conn, &alone, more);
}

bool net_flush(struct net *net)
{
    struct slice slice;
    gather(net, &slice);
    send_all(net, &slice);
    for (unsigned i = 0; i < slice.count; i++)
        settle(net, slice.conns[i], &slice.sends[i], slice.more[i]);
    return net_is_dirty(net);
}
