/* HTTP/2 connections. A read of a connection may bring requests of many streams, and a send has the
 * bytes of all streams that have some.
 *
 * Reading: bytes are given to the codec in small pieces, a request at most in each, within the
 * budget of the turn, and what is left is kept for a later one. While the socket takes no bytes
 * nothing is read: a peer that reads no answers cannot make us gather more of them.
 *
 * Sending: at the end of a turn polls that were woken answer, and then the codec gathers frames of
 * all streams in turn, up to GATHER_MAX, into the worker's room. They leave in one send. The
 * connection has a buffer of its own only for bytes that the socket does not take.
 *
 * Ending: a GOAWAY says it, our side is shut, and the bytes that still come are thrown away for a
 * moment, since to close a socket with unread bytes could take the last frames along. */
#include "transport/http2_connection.h"

#include "transport/entry.h"
#include "transport/http2_requests.h"
#include "transport/http2_streams.h"
#include "transport/review.h"
#include "transport/rounds.h"

#include <stdlib.h>

/* PIECE: a piece has one request at most, and otherwise room for some dozens of frames. */
enum { GATHER_MAX = 128 << 10, PIECE = 1024, LINGER_MS = 2000, LINGER_BYTES = 4 << 20 };

static struct http2_connection *of_conn(struct conn *conn)
{
    return container_of(conn, struct http2_connection, conn);
}

static struct http2_connection *of_control(const struct request_stream *request)
{
    return container_of(request, struct http2_connection, control);
}

static struct worker *worker_of(const struct http2_connection *connection)
{
    return connection->control.worker;
}

static bool has_unsent(const struct http2_connection *connection)
{
    return connection->sent < connection->out.len;
}

/* ---- accounts -------------------------------------------------------------------------------- */

static void count_out(struct http2_connection *connection)
{
    holding_set(&worker_of(connection)->holdings, &connection->holding,
                connection->conn.writable ? ACCOUNT_ANSWERS : ACCOUNT_RESTS, connection->out.cap);
}

static void count_codec(struct http2_connection *connection)
{
    holding_set(&worker_of(connection)->holdings, &connection->codec, ACCOUNT_HTTP2,
                http2_held(connection->http2));
}

/* A head that is not whole has until head_ms, since it would hold its memory for ever. The timer is
 * the connection's, which is idle or has streams meanwhile. */
static void count_head(struct http2_connection *connection)
{
    struct worker *worker = worker_of(connection);
    struct timer *timer = &connection->control.timer;
    int64_t since_ns;
    size_t held = http2_head_held(connection->http2, &since_ns);
    bool had = connection->head.bytes;
    holding_set(&worker->holdings, &connection->head, ACCOUNT_INTAKE, held);
    if (connection->lingers || connection->ending || (!held && !had))
        return;
    int64_t ms = worker->config.limits.head_ms - (worker->loop.now_ns - since_ns) / 1000000;
    if (held)
        timer_set(&worker->loop, timer, ms > 0 ? ms : 0);
    else if (connection->streams_count)
        timer_stop(timer);
    else
        timer_set(&worker->loop, timer, worker->config.limits.idle_ms);
}

static void free_out(struct http2_connection *connection)
{
    buf_free(&connection->out);
    connection->sent = 0;
    count_out(connection);
}

/* Keeps bytes until the socket takes them. */
static void keep_out(struct http2_connection *connection, struct str bytes)
{
    buf_add_str(&connection->out, bytes);
    if (buf_failed(&connection->out))
        conn_close(&connection->conn);
    count_out(connection);
}

/* ---- the end --------------------------------------------------------------------------------- */

/* Thrown away, so that our last bytes are not taken along by a reset. */
static void discard(struct http2_connection *connection)
{
    struct worker *worker = worker_of(connection);
    struct str bytes;
    int n;
    while ((n = conn_read(&connection->conn, &bytes)) > 0 && worker_spend(worker, (size_t)n))
        connection->discarded += (size_t)n;
    if (n < 0 || connection->discarded > LINGER_BYTES)
        conn_close(&connection->conn);
    else if (n > 0)
        request_stream_wake(&connection->control);
}

static void shut(struct http2_connection *connection)
{
    if (connection->lingers)
        return;
    connection->lingers = true;
    conn_shut(&connection->conn);
    timer_set(&worker_of(connection)->loop, &connection->control.timer, LINGER_MS);
    connection->conn.readable = true;
    request_stream_wake(&connection->control);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Gives the codec bytes, as far as the budget goes. Returns how many. */
static size_t feed(struct http2_connection *connection, char *bytes, size_t len)
{
    struct worker *worker = worker_of(connection);
    size_t used = 0;
    while (used < len && !connection->finished && !worker_is_spent(worker)) {
        size_t n = http2_next_piece(connection->http2, bytes + used,
                                    len - used < PIECE ? len - used : PIECE);
        /* Open the mail first: events that a client published before it sent these bytes are in
         * it. */
        mailbox_empty(&worker->loop.mailbox);
        if (http2_receive(connection->http2, bytes + used, n, worker->loop.now_ns))
            connection->finished = true;
        used += n;
        (void)worker_spend(worker, n);
    }
    return connection->finished ? len : used;
}

static void keep(struct http2_connection *connection, struct str bytes)
{
    struct stream_intake *intake = bytes.len ? request_stream_take_in(&connection->control) : NULL;
    if (!intake)
        return;
    buf_add_str(&intake->in, bytes);
    if (buf_failed(&intake->in))
        conn_close(&connection->conn);
}

/* Whether bytes may be read: those of a peer that takes none stay in its socket. */
static bool may_read(const struct http2_connection *connection)
{
    return !connection->conn.dead && !connection->finished &&
           (connection->conn.writable || !has_unsent(connection));
}

static bool has_kept(const struct http2_connection *connection)
{
    return connection->control.intake && connection->control.intake->in.len;
}

static void feed_kept(struct http2_connection *connection)
{
    struct buf *in = &connection->control.intake->in;
    buf_drop(in, feed(connection, in->at, in->len));
    if (!in->len)
        buf_free(in);
}

/* Reads once; false if nothing more is to be read now. */
static bool read_once(struct http2_connection *connection)
{
    struct conn *conn = &connection->conn;
    struct str bytes;
    int n = conn_read(conn, &bytes);
    if (n < 0)
        conn_close(conn);
    if (n <= 0)
        return false;
    size_t used = feed(connection, conn->net->read_room, bytes.len);
    keep(connection, str_skip(bytes, used));
    return used == bytes.len;
}

/* While the server stops: bytes that had come before have brought no further request. */
static void end_if_idle(struct http2_connection *connection)
{
    if (connection->draining && !connection->streams_count && !http2_has_unread(connection))
        http2_end(connection->http2);
}

static void settle(struct http2_connection *connection)
{
    struct stream_intake *intake = connection->control.intake;
    bool more = has_kept(connection) || connection->conn.readable;
    end_if_idle(connection);
    if (http2_has_more(connection->http2) || connection->finished ||
        http2_is_over(connection->http2))
        conn_dirty(&connection->conn);
    if (more && may_read(connection) && request_stream_take_in(&connection->control)) {
        intake = connection->control.intake;
        if (!list_linked(&intake->wait_node))
            list_add_last(&worker_of(connection)->put_off, &intake->wait_node);
        worker_put_off(worker_of(connection), BUDGET_READ);
    }
    count_head(connection);
    count_codec(connection);
    request_stream_count_intake(&connection->control);
    if (intake && !intake->in.len && !list_linked(&intake->wait_node))
        request_stream_drop_intake(&connection->control);
}

static void read_connection(struct http2_connection *connection)
{
    struct worker *worker = worker_of(connection);
    worker_begin_step(worker);
    if (connection->lingers) {
        discard(connection);
        return;
    }
    while (may_read(connection) && !worker_is_spent(worker)) {
        if (has_kept(connection))
            feed_kept(connection);
        else if (!read_once(connection))
            break;
    }
    if (!connection->conn.dead)
        settle(connection);
}

static void readable(struct conn *conn)
{
    struct http2_connection *connection = of_conn(conn);
    const struct stream_intake *intake = connection->control.intake;
    if (intake && list_linked(&intake->wait_node))
        return;
    if (worker_reads_later(worker_of(connection)))
        request_stream_wake(&connection->control);
    else
        read_connection(connection);
}

/* ---- sending --------------------------------------------------------------------------------- */

/* Polls that were woken answer now, if they can. Other streams are asked in this gathering. */
static void look_at_streams(struct http2_connection *connection)
{
    struct list now = LIST_INIT(now);
    list_take_all(&now, &connection->looks);
    for (struct list *node; (node = list_take_first(&now));) {
        struct http2_request_stream *stream = container_of(node, struct http2_request_stream, look);
        struct waiting *waiting = stream->exchange ? stream->exchange->waiting : NULL;
        if (waiting)
            waiting->ops->look(waiting);
        else
            http2_resume(connection->http2, &stream->wire);
    }
}

/* Moves gathered bytes to where they stay until they are sent. */
static void place(struct http2_connection *connection, struct buf *gathered)
{
    struct worker *worker = worker_of(connection);
    connection->next = send_room_put(&worker->send_room, buf_str(gathered));
    if (connection->next.len || !gathered->len)
        return;
    connection->out = *gathered;
    *gathered = (struct buf){0};
    count_out(connection);
}

static void gather(struct http2_connection *connection)
{
    struct buf *gathered = &worker_of(connection)->send_room.gathered;
    look_at_streams(connection);
    connection->lively = false;
    buf_clear(gathered);
    int result = http2_gather(connection->http2, gathered, GATHER_MAX);
    count_codec(connection);
    connection->conn.behind = gathered->len && !connection->lively;
    if (result || buf_failed(gathered)) {
        buf_free(gathered);
        conn_close(&connection->conn);
        return;
    }
    place(connection, gathered);
    if (!connection->next.len && !has_unsent(connection) && conn_is_clear(&connection->conn) &&
        (connection->finished || http2_is_over(connection->http2)))
        shut(connection);
}

static struct str fill(struct conn *conn)
{
    struct http2_connection *connection = of_conn(conn);
    if (has_unsent(connection))
        return str_skip(buf_str(&connection->out), connection->sent);
    if (!connection->lingers)
        gather(connection);
    return connection->next.len ? connection->next : buf_str(&connection->out);
}

/* Gives the room back; the rest of what was in it is kept. */
static void leave_room(struct http2_connection *connection, size_t sent)
{
    struct str rest = str_skip(connection->next, sent);
    if (!connection->next.len)
        return;
    if (rest.len)
        keep_out(connection, rest);
    connection->next = STR_NONE;
    send_room_give(&worker_of(connection)->send_room);
}

static bool sent(struct conn *conn, size_t n)
{
    struct http2_connection *connection = of_conn(conn);
    if (connection->next.len) {
        leave_room(connection, n);
    } else {
        connection->sent += n;
        if (!has_unsent(connection))
            free_out(connection);
        else
            count_out(connection);
    }
    if (conn->writable && (conn->readable || has_kept(connection)))
        request_stream_wake(&connection->control); /* may be read again */
    return has_unsent(connection) || http2_has_more(connection->http2) ||
           !list_empty(&connection->looks) || connection->finished ||
           http2_is_over(connection->http2);
}

static void hung_up(struct conn *conn)
{
    conn_close(conn);
}

static void closed(struct conn *conn)
{
    struct http2_connection *connection = of_conn(conn);
    struct worker *worker = worker_of(connection);
    timer_stop(&connection->control.timer);
    list_remove(&conn->node);
    while (!list_empty(&connection->streams))
        http2_stream_free(
            container_of(connection->streams.next, struct http2_request_stream, node));
    request_stream_drop_intake(&connection->control);
    leave_room(connection, connection->next.len);
    free_out(connection);
    holding_set(&worker->holdings, &connection->head, ACCOUNT_INTAKE, 0);
    holding_set(&worker->holdings, &connection->codec, ACCOUNT_HTTP2, 0);
    http2_free(connection->http2);
    stat_set(&worker->stats.connections, worker->net.conns);
    if (!conn_is_handed_over(conn))
        entry_end(worker, connection->refused, conn->place);
    worker_resume_accepting(worker);
    free(connection);
}

/* Streams end one by one, and the connection with the last. Requests that have come are answered.
 */
static void drain(struct conn *conn, uint32_t after_ms)
{
    struct http2_connection *connection = of_conn(conn);
    (void)after_ms;
    if (connection->draining)
        return;
    connection->draining = true;
    if (connection->streams_count || http2_has_unread(connection))
        http2_announce_end(connection->http2);
    else
        http2_end(connection->http2);
    list_each (&connection->streams, node) {
        http2_stream_drain(container_of(node, struct http2_request_stream, node),
                           worker_drain_after_ms(worker_of(connection)));
    }
    conn_dirty(conn);
}

static void review_stream(struct http2_request_stream *stream)
{
    struct waiting *waiting = stream->exchange ? stream->exchange->waiting : NULL;
    if (stream->state != REQUEST_OPEN)
        return;
    if (stream->request.pull)
        review_pull(stream->request.pull);
    else if (stream->phase == HTTP2_POLL && waiting)
        waiting->ops->ring(waiting);
}

static void review(struct conn *conn)
{
    list_each (&of_conn(conn)->streams, node) {
        review_stream(container_of(node, struct http2_request_stream, node));
    }
}

static void visit(struct conn *conn, void *visitor)
{
    list_each (&of_conn(conn)->streams, node) {
        struct http2_request_stream *stream = container_of(node, struct http2_request_stream, node);
        struct waiting *waiting = stream->exchange ? stream->exchange->waiting : NULL;
        if (stream->state != REQUEST_OPEN)
            continue;
        if (stream->request.pull || (stream->phase == HTTP2_POLL && waiting))
            rounds_show(visitor, &stream->request, stream->request.pull ? NULL : waiting);
    }
}

static const struct conn_ops conn_ops = {readable, fill,  sent,   hung_up,
                                         closed,   drain, review, visit};

/* ---- the calls for the connection as a whole ------------------------------------------------- */

static void control_close(struct request_stream *request)
{
    conn_close(&of_control(request)->conn);
}

static enum request_stream_state control_state(const struct request_stream *request)
{
    return of_control(request)->conn.dead ? REQUEST_CLOSED : REQUEST_OPEN;
}

static struct conn *control_conn(const struct request_stream *request)
{
    return &of_control(request)->conn;
}

static void control_resume(struct request_stream *request)
{
    read_connection(of_control(request));
}

static void control_shed(struct request_stream *request, struct holding *holding)
{
    struct http2_connection *connection = of_control(request);
    conn_close(&connection->conn);
    holding_set(&request->worker->holdings, holding, (enum account_kind)holding->kind, 0);
    conn_bury_first(&connection->conn);
}

static const struct request_stream_ops control_ops = {
    .close = control_close,
    .state = control_state,
    .conn = control_conn,
    .intake_new = http2_stream_intake_new,
    .resume = control_resume,
    .shed = control_shed,
};

static void offence(void *owner, enum http2_offence what)
{
    const struct http2_connection *connection = owner;
    worker_hit(worker_of(connection), what == HTTP2_FLOOD ? LIMIT_FLOODS : LIMIT_STREAMS);
}

static const struct http2_ops http2_ops = {
    .begin = http2_request_begin,
    .request = http2_request_head,
    .body = http2_request_body,
    .whole = http2_request_whole,
    .fill = http2_stream_fill,
    .sent = http2_stream_sent,
    .ended = http2_stream_ended,
    .closed = http2_stream_closed,
    .offence = offence,
};

/* Whether the rest of a head is late. Bytes that we have not read yet are no fault of the peer. */
static bool is_late(const struct http2_connection *connection)
{
    return connection->head.bytes && !has_kept(connection) && !connection->conn.readable;
}

/* A connection that is idle, or late with a head, is told that it ends, if it takes bytes, and then
 * has a moment to go. */
static void ring(struct timer *timer)
{
    struct http2_connection *connection =
        of_control(container_of(timer, struct request_stream, timer));
    struct worker *worker = worker_of(connection);
    if (connection->lingers || connection->ending || !connection->conn.writable) {
        conn_close(&connection->conn);
        return;
    }
    if (connection->head.bytes && !is_late(connection)) {
        timer_set(&worker->loop, timer, worker->config.limits.head_ms);
        return;
    }
    if (connection->head.bytes)
        stat_add(&worker->stats.problems[PROBLEM_TIMEOUT], 1);
    else
        worker_hit(worker, LIMIT_IDLE);
    connection->ending = true;
    http2_end(connection->http2);
    conn_dirty(&connection->conn);
    timer_set(&worker->loop, timer, LINGER_MS);
}

/* ---- beginning ------------------------------------------------------------------------------- */

static struct http2_connection *connection_new(struct worker *worker)
{
    struct http2_connection *connection = mem_try_alloc(sizeof(*connection));
    struct http2 *http2 =
        connection ? http2_new(connection, &http2_ops, &worker->config.limits.http2) : NULL;
    if (!http2) {
        free(connection);
        return NULL;
    }
    *connection = (struct http2_connection){
        .http2 = http2,
        .control = {.ops = &control_ops, .worker = worker, .timer = {.ring = ring}},
        .holding = {.request = &connection->control},
        .head = {.request = &connection->control},
        .codec = {.request = &connection->control}};
    list_init(&connection->streams);
    list_init(&connection->looks);
    return connection;
}

/* NULL without memory: nothing has changed. */
static struct http2_connection *take(struct worker *worker, struct conn *from,
                                     enum entry_excess refused)
{
    struct http2_connection *connection = connection_new(worker);
    if (!connection)
        return NULL;
    if (conn_hand_over(from, &connection->conn, &conn_ops)) {
        http2_free(connection->http2);
        free(connection);
        return NULL;
    }
    connection->refused = refused & 3;
    list_add_last(&worker->connections, &connection->conn.node);
    timer_set(&worker->loop, &connection->control.timer, worker->config.limits.idle_ms);
    if (refused)
        http2_refuse(connection->http2);
    conn_dirty(&connection->conn);
    return connection;
}

static void drain_if_late(struct http2_connection *connection)
{
    if (worker_of(connection)->draining && !connection->refused)
        drain(&connection->conn, 0);
}

bool http2_take_over(struct worker *worker, struct conn *from, struct str bytes)
{
    struct http2_connection *connection = take(worker, from, EXCESS_NONE);
    if (!connection)
        return false;
    keep(connection, bytes);
    drain_if_late(connection);
    request_stream_wake(&connection->control);
    return true;
}

void http2_take(struct worker *worker, struct conn *from, enum entry_excess refused)
{
    struct http2_connection *connection = take(worker, from, refused);
    if (!connection) {
        conn_close(from);
        return;
    }
    readable(&connection->conn);
    drain_if_late(connection);
}
