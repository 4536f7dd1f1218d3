/* A connection before its first request.
 *
 *     accepted ──▶ plain door ─────────────────────────▶ HTTP/1.1
 *         └──────▶ TLS door ──▶ first byte ──▶ handshake ──▶ the kind that ALPN chose
 *                                   └─▶ no TLS: HTTP/1.1, which refuses its first request
 *
 * At a door of the PROXY protocol its header comes first, before TLS, and only from trusted peers.
 * The connection counts for its client's address only then, and may be refused then.
 *
 * During its handshake the connection belongs to a struct arrival. The structure of its kind takes
 * it over after that, so an idle subscriber pays nothing for how it came.
 *
 * A full handshake costs the signature, about a millisecond with RSA, and anybody may ask for one.
 * So arrivals for which something has come wait in a queue of their own, and a turn goes on with
 * them for SHAKE_US, at least with one: a flood of handshakes holds up other handshakes, but
 * nobody's events. `handshake_ms` bounds the whole of each.
 *
 * A handshake under way takes 45 to 190 KiB of OpenSSL's, and anybody may leave one there. All of a
 * worker share handshakes_max bytes; beyond that the oldest are closed for the newest. A flood
 * cannot lock others out so: an honest client is done within two round trips, long before it is the
 * oldest. */
#include "transport/accept.h"

#include "base/say.h"
#include "net/peer.h"
#include "net/proxy_header.h"
#include "net/tls.h"
#include "transport/entry.h"
#include "transport/forwarding.h"
#include "transport/http1.h"
#include "transport/http1_writer.h"
#include "transport/http2_connection.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SHAKE_US = 1000 };
/* The time for a handshake that only leads to a refusal, since the places for those are few. */
enum { REFUSAL_MS = 2000 };
enum { SAY_EACH_NS = 1000000000 };

/* The first byte of each record of a handshake (RFC 8446, section 5.1). */
enum { FIRST_OF_TLS = 22 };

struct arrival {
    struct conn conn;
    struct worker *worker;
    struct timer timer;
    struct list turn; /* in worker->shaking */
    struct list row;  /* in worker->shaken once it has taken memory */
    size_t bytes;     /* about, of the handshake */
    enum entry_excess excess;
    bool begun; /* the first byte has come */
};

/* The kinds of connections, by what ALPN calls them; the best first. */
static const struct kind {
    const char *alpn;
    void (*take)(struct worker *worker, struct conn *conn, enum entry_excess refused);
} kinds[] = {
    {"\x02h2", http2_take},
    {"\x08http/1.1", http1_take}, /* also for clients without ALPN: the last */
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

struct str accept_protocols(void)
{
    return STR("\x02h2\x08http/1.1");
}

static const struct kind *kind_of(const struct conn *conn)
{
    struct str chosen = tls_protocol(conn);
    for (size_t i = 0; i < KINDS; i++)
        if (str_eq(chosen, str_from(kinds[i].alpn + 1)))
            return &kinds[i];
    return &kinds[KINDS - 1];
}

/* ---- the handshake --------------------------------------------------------------------------- */

static struct arrival *arrival_of(struct conn *conn)
{
    return container_of(conn, struct arrival, conn);
}

static void set_bytes(struct arrival *arrival, size_t bytes)
{
    arrival->worker->shaking_bytes += bytes - arrival->bytes;
    arrival->bytes = bytes;
}

/* The handshake is over, though the arrival stays until the end of the turn. */
static void hand_over(struct arrival *arrival, const struct kind *kind)
{
    list_remove(&arrival->row);
    set_bytes(arrival, 0);
    timer_stop(&arrival->timer);
    arrival->conn.readable = true; /* the wire may have bytes that came behind the handshake */
    kind->take(arrival->worker, &arrival->conn, arrival->excess);
}

/* Tells the client why it is turned away unread. One of TLS could not read it. */
static void say_busy(struct worker *worker, int fd, uint8_t door, enum entry_excess excess)
{
    struct str detail;
    struct buf out = {0};
    enum problem problem = entry_problem(excess, &detail);
    http1_busy(&out, worker->config.base, problem, detail);
    if (!(door & DOOR_TLS) && !buf_failed(&out))
        (void)wire_send(fd, buf_str(&out));
    buf_free(&out);
}

static void set_timer(struct arrival *arrival)
{
    struct worker *worker = arrival->worker;
    int64_t ms = worker->config.limits.handshake_ms;
    timer_set(&worker->loop, &arrival->timer, arrival->excess && ms > REFUSAL_MS ? REFUSAL_MS : ms);
}

/* Counts a connection at a door of the PROXY protocol that is closed for lack of a header which
 * counts. */
static void refuse_header(struct worker *worker)
{
    worker_hit(worker, LIMIT_PROXY);
    if (worker->loop.now_ns - worker->tls_said_ns < SAY_EACH_NS)
        return;
    worker->tls_said_ns = worker->loop.now_ns;
    say(SAY_WARN, "proxy_header_refused", "%s",
        "reason=\"a connection did not come from a trusted proxy, or did not begin with a header "
        "of the PROXY protocol\"");
}

/* From now on the connection is the client's. One that is a trusted proxy itself stands for many,
 * as the peer does. Returns 0 or a negative errno. */
static int take_client(struct arrival *arrival, const union client_address *client)
{
    struct conn *conn = &arrival->conn;
    forwarding_take(arrival->worker, conn, client);
    if (conn->door & DOOR_TRUSTED || arrival->excess)
        return 0;
    if (!entry_name(arrival->worker, client, &arrival->excess, &conn->place)) {
        say_busy(arrival->worker, conn->fd, conn->door, EXCESS_OF_ADDRESS);
        return -EPIPE;
    }
    if (arrival->excess)
        set_timer(arrival);
    return 0;
}

/* Whether the peer has reset the connection, as checks of a proxy do that only connect. The kernel
 * has forgotten its address then, so that it seems not to be trusted. */
static bool has_gone(int fd)
{
    return peer_of(fd) == PEER_UNKNOWN;
}

/* Looks at the header of the PROXY protocol, and leaves it. Returns 0 once it is whole, -EAGAIN
 * before, -EPROTO if it does not count, or another negative errno. */
static int peek_proxy_header(const struct arrival *arrival, struct proxy_header *ret)
{
    char room[PROXY_HEADER_MAX];
    int fd = arrival->conn.fd;
    ssize_t n = recv(fd, room, sizeof(room), MSG_PEEK | MSG_DONTWAIT);
    if (n <= 0)
        return n ? -errno : -EPIPE;
    int result = proxy_header_read((struct str){room, (size_t)n}, ret);
    /* A reload may have ended the trust in the peer since it connected. */
    if (!result && !forwarding_trusts(arrival->worker, fd))
        return has_gone(fd) ? -EPIPE : -EPROTO;
    return result;
}

/* Takes the header of the PROXY protocol off the front, once it is whole. Returns 0, -EAGAIN while
 * it is not, or another negative errno. */
static int take_proxy_header(struct arrival *arrival)
{
    char room[PROXY_HEADER_MAX];
    struct conn *conn = &arrival->conn;
    struct proxy_header header = {0};
    int result = peek_proxy_header(arrival, &header);
    if (result == -EPROTO)
        refuse_header(arrival->worker);
    if (result) {
        conn->readable = false; /* epoll tells when more has come */
        return result == -EPROTO ? -EPIPE : result;
    }
    if (recv(conn->fd, room, header.size, MSG_DONTWAIT) != (ssize_t)header.size)
        return -EPIPE;
    /* Without an address anybody may have written what follows, X-Forwarded-For too. */
    conn->door &= (uint8_t) ~(DOOR_PROXY | DOOR_TRUSTED);
    return header.has_address ? take_client(arrival, &header.address) : 0;
}

/* Closes the oldest handshakes, but not this one, until all fit. */
static void make_room(struct arrival *newest)
{
    struct worker *worker = newest->worker;
    while (worker->shaking_bytes > worker->config.limits.handshakes_max) {
        struct arrival *oldest = container_of(worker->shaken.next, struct arrival, row);
        if (oldest == newest)
            return;
        list_remove(&oldest->row);
        set_bytes(oldest, 0);
        worker_hit(worker, LIMIT_SHAKING);
        conn_close(&oldest->conn);
    }
}

/* Counts what the handshake has taken, which is under way. */
static void count_bytes(struct arrival *arrival)
{
    if (!list_linked(&arrival->row))
        list_add_last(&arrival->worker->shaken, &arrival->row);
    set_bytes(arrival, tls_shake_cost(&arrival->conn));
    make_room(arrival);
}

/* Looks at the first byte and leaves it. Returns 0, -EAGAIN while there is none, or another
 * negative errno. */
static int begin_tls(struct arrival *arrival)
{
    unsigned char first;
    ssize_t n = recv(arrival->conn.fd, &first, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n <= 0) {
        arrival->conn.readable = false;
        return n ? -errno : -EPIPE;
    }
    arrival->begun = true;
    if (first == FIRST_OF_TLS || first < 'A' || first > 'Z')
        return tls_begin(arrival->worker->tls, &arrival->conn);
    arrival->conn.door |= DOOR_BARE;
    hand_over(arrival, &kinds[KINDS - 1]);
    return -EALREADY;
}

static int begin(struct arrival *arrival)
{
    int result = arrival->conn.door & DOOR_PROXY ? take_proxy_header(arrival) : 0;
    if (result || arrival->conn.door & DOOR_TLS)
        return result ? result : begin_tls(arrival);
    arrival->begun = true;
    hand_over(arrival, &kinds[KINDS - 1]);
    return -EALREADY;
}

/* Anybody can cause these lines, so there is at most one a second for each worker. */
static void say_failed(const struct arrival *arrival)
{
    struct worker *worker = arrival->worker;
    int64_t now_ns = worker->loop.now_ns;
    if (worker->tls_said_ns && now_ns - worker->tls_said_ns < SAY_EACH_NS)
        return;
    worker->tls_said_ns = now_ns;
    say(SAY_WARN, "tls_handshake_failed", "error=\"%s\"", tls_trouble(&arrival->conn));
}

static void finish(struct arrival *arrival)
{
    struct worker_stats *stats = &arrival->worker->stats;
    stat_add(tls_is_resumed(&arrival->conn) ? &stats->handshakes_resumed : &stats->handshakes, 1);
    hand_over(arrival, kind_of(&arrival->conn));
}

/* At a door without TLS the connection has ended before its PROXY header was whole. */
static void fail(struct arrival *arrival, int error)
{
    bool shakes = arrival->conn.door & DOOR_TLS;
    stat_add(&arrival->worker->stats.handshakes_failed, shakes);
    if (error == -EPROTO)
        say_failed(arrival);
    conn_close(&arrival->conn);
}

static void go_on(struct arrival *arrival)
{
    int result = arrival->begun ? 0 : begin(arrival);
    if (!result)
        result = tls_shake(&arrival->conn);
    if (result == -EAGAIN && arrival->begun)
        count_bytes(arrival);
    if (!result)
        finish(arrival);
    else if (result != -EAGAIN && result != -EALREADY)
        fail(arrival, result);
    else if (result == -EAGAIN && arrival->conn.readable)
        list_add_last(&arrival->worker->shaking, &arrival->turn); /* behind the others */
}

void accept_shake(struct worker *worker)
{
    struct budget budget;
    if (list_empty(&worker->shaking))
        return;
    budget_begin(&budget, worker->config.clock, SHAKE_US, INT64_MAX);
    struct list *node;
    while ((node = list_take_first(&worker->shaking))) {
        struct arrival *arrival = container_of(node, struct arrival, turn);
        if (!arrival->conn.dead)
            go_on(arrival);
        if (!budget_spend(&budget, BUDGET_STRIDE))
            break;
    }
    if (!list_empty(&worker->shaking))
        worker_put_off(worker, BUDGET_HANDSHAKES);
}

/* ---- the connection's calls ------------------------------------------------------------------ */

static void readable(struct conn *conn)
{
    struct arrival *arrival = arrival_of(conn);
    if (!list_linked(&arrival->turn))
        list_add_last(&arrival->worker->shaking, &arrival->turn);
}

static struct str fill(struct conn *conn)
{
    (void)conn; /* the wire keeps what is left of a flight */
    return STR_NONE;
}

static bool sent(struct conn *conn, size_t n)
{
    (void)conn, (void)n;
    return false;
}

static void hung_up(struct conn *conn)
{
    fail(arrival_of(conn), -EPIPE);
}

static void closed(struct conn *conn)
{
    struct arrival *arrival = arrival_of(conn);
    struct worker *worker = arrival->worker;
    timer_stop(&arrival->timer);
    list_remove(&conn->node);
    list_remove(&arrival->turn);
    list_remove(&arrival->row);
    set_bytes(arrival, 0);
    stat_set(&worker->stats.connections, worker->net.conns);
    if (!conn_is_handed_over(conn))
        entry_end(worker, arrival->excess, conn->place);
    worker_resume_accepting(worker);
    free(arrival);
}

/* The first request comes with the end of the handshake, and may be what has not been read yet. */
static void drain(struct conn *conn, uint32_t after_ms)
{
    (void)after_ms;
    if (!arrival_of(conn)->begun || !conn_has_unread(conn))
        conn_close(conn);
}

static const struct conn_ops arrival_ops = {readable, fill,  sent, hung_up,
                                            closed,   drain, NULL, NULL};

static void ring(struct timer *timer)
{
    struct arrival *arrival = container_of(timer, struct arrival, timer);
    worker_hit(arrival->worker, LIMIT_HANDSHAKE);
    conn_close(&arrival->conn);
}

/* ---- accepting ------------------------------------------------------------------------------- */

static void arrive(struct worker *worker, int fd, uint8_t door, const struct entry *entry)
{
    struct arrival *arrival = mem_try_alloc(sizeof(*arrival));
    if (arrival)
        *arrival =
            (struct arrival){.worker = worker, .timer = {.ring = ring}, .excess = entry->excess};
    else
        close(fd);
    if (!arrival || conn_init(&arrival->conn, &worker->net, fd, NET_PLAIN, &arrival_ops)) {
        entry_end(worker, entry->excess, entry->place);
        free(arrival);
        return;
    }
    arrival->conn.door = door;
    arrival->conn.place = entry->place;
    list_add_last(&worker->connections, &arrival->conn.node);
    set_timer(arrival);
    stat_set(&worker->stats.connections, worker->net.conns);
}

static void turn_away(struct worker *worker, int fd, uint8_t door, enum entry_excess excess)
{
    say_busy(worker, fd, door, excess);
    close(fd);
}

/* A peer that is not trusted could name any address. */
static void refuse_peer(struct worker *worker, int fd, const struct entry *entry)
{
    if (!has_gone(fd))
        refuse_header(worker);
    entry_end(worker, entry->excess, entry->place);
    close(fd);
}

void accept_connection(struct worker *worker, int fd, uint8_t door)
{
    const struct entry entry = entry_begin(worker, fd);
    door |= forwarding_trusts(worker, fd) ? DOOR_TRUSTED : 0;
    if (entry.turned_away)
        turn_away(worker, fd, door, entry.excess);
    else if (door & DOOR_PROXY && !(door & DOOR_TRUSTED))
        refuse_peer(worker, fd, &entry);
    else if (door & (DOOR_TLS | DOOR_PROXY))
        arrive(worker, fd, door, &entry);
    else
        http1_accept(worker, fd, door, &entry);
}
