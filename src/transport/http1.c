/* How a connection reads requests and keeps its responses in order.
 *
 * Bytes are read into the thread's room and parsed there. The connection keeps only the bytes that
 * are left over, so an idle one holds no buffer. Publishes may be pipelined: each becomes an
 * exchange, and responses are sent in the order of the requests, whichever is ready first. Any
 * other request waits until all earlier responses are sent, so that it sees their effect.
 *
 * A connection ends by session_close_soon(): outgoing bytes are sent, then our side is shut, and
 * the bytes that still come from the peer are thrown away for a moment. To close a socket with
 * unread bytes would reset the connection, and could take the response along. */
#include "transport/http1.h"

#include "transport/checked.h"
#include "transport/http1_writer.h"
#include "transport/incoming.h"
#include "transport/pipeline.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* GIVE_WAY_LEAST: while memory is tight, a connection that holds less than this of a request or
 * message that has not come whole is still read. */
enum {
    OUT_KEEP = 4096,
    LINGER_BYTES = 4 << 20,
    GIVE_WAY_LEAST = 64 * 1024,
};

static struct session *of_conn(struct conn *conn)
{
    return container_of(conn, struct session, conn);
}

/* ---- reading ----------------------------------------------------------------------------- */

static void process(struct session *session)
{
    if (session->request.intake && session->request.intake->in.len && !session_is_taken(session))
        incoming_read(session, buf_str(&session->request.intake->in));
    else
        session_settle(session);
}

/* ---- the connection's calls ------------------------------------------------------------------ */

static void hung_up(struct conn *conn)
{
    conn_close(conn);
}

/* A connection whose budget is used up, or for which the turn has none, is read later: `queue` is
 * the worker's list for that. */
static void read_later(struct session *session, struct list *queue)
{
    struct stream_intake *intake = request_stream_take_in(&session->request);
    if (!intake || list_linked(&intake->wait_node))
        return;
    list_add_last(queue, &intake->wait_node);
    /* While memory is tight the deadline holds: it frees what is held for an unfinished request. */
    if (queue != &session->request.worker->paused)
        intake->later_ns = session->request.worker->loop.now_ns;
}

/* The session's turn has come. */
static void end_put_off(struct session *session)
{
    struct stream_intake *intake = session->request.intake;
    if (!intake || !intake->later_ns)
        return;
    if (intake->begun_ns)
        intake->begun_ns = request_stream_begun_ns(&session->request);
    intake->later_ns = 0;
}

/* Whether a request or message that has come whole is being checked, or decompressed. */
static bool has_begun(const struct session *session)
{
    const struct pull *pull = session->request.pull;
    const struct stream_intake *intake = session->request.intake;
    return (intake && (intake->check || (intake->body && intake->body->gzip.stream))) ||
           (pull && pull->ops->busy && pull->ops->busy(pull));
}

static void put_off(struct session *session)
{
    struct worker *worker = session->request.worker;
    struct list *begun = session->request.pull ? &worker->unfinished : &worker->bodies;
    read_later(session, has_begun(session) ? begun : &worker->put_off);
    worker_put_off(worker, BUDGET_READ);
}

/* Thrown away, so that our last bytes are not taken along by a reset. */
static void discard(struct session *session)
{
    struct str bytes;
    int n;
    size_t sum = 0;
    while ((n = conn_read(&session->conn, &bytes)) > 0) {
        sum += (size_t)n;
        if (!worker_spend(session->request.worker, (size_t)n))
            break;
    }
    if (n == 0)
        return;
    if (n > 0)
        put_off(session);
    struct session_intake *intake = session_intake(session);
    if (n < 0 || !intake || (intake->discarded += sum) > LINGER_BYTES)
        conn_close(&session->conn);
}

/* A peer that is done sending still gets the answers that are due. */
static void read_end(struct session *session, int error)
{
    session->conn.readable = false;
    session->finished = true;
    if (error != -EPIPE ||
        (!session_inflight(session) && request_stream_is_clear(&session->request)))
        conn_close(&session->conn);
    else if (!session_inflight(session))
        session_close_soon(session);
}

/* The head of a stream, or of a socket, goes out at once: as many connections as come in one turn
 * would hold as many heads until its end, and leave the heap that large. */
static void send_head(struct session *session)
{
    if (session->request.pull && !session_inflight(session) && !session->closing &&
        !request_stream_is_clear(&session->request))
        conn_flush(&session->conn);
}

/* Adds bytes to what has come and was not used; false when there was no memory and the connection
 * is closed for it. */
static bool add_to_intake(struct session *session, struct str bytes)
{
    struct stream_intake *intake = request_stream_take_in(&session->request);
    if (!intake)
        return false;
    buf_add_str(&intake->in, bytes);
    if (!buf_failed(&intake->in))
        return true;
    conn_close(&session->conn);
    return false;
}

static bool has_kept(const struct session *session)
{
    return session->request.intake && session->request.intake->in.len;
}

static void read_until_pull(struct session *session)
{
    while (incoming_may_follow(session) && !worker_is_spent(session->request.worker)) {
        struct str bytes;
        int n = conn_read(&session->conn, &bytes);
        if (n == 0)
            return;
        if (n < 0) {
            read_end(session, n);
            return;
        }
        /* Open the mail first: events that a client published before it sent these bytes are in
         * it. */
        mailbox_empty(&session->request.worker->loop.mailbox);
        if (has_kept(session)) {
            if (!add_to_intake(session, bytes))
                return;
            bytes = buf_str(&session->request.intake->in);
        }
        incoming_read(session, bytes);
        send_head(session);
    }
}

static bool listens(const struct session *session)
{
    return !session->conn.dead && !session->closing && session->request.pull->ops->input &&
           !session->request.pull->ops->deaf(session->request.pull);
}

/* Has the pull use what came and was not used yet. */
static void give_kept(struct session *session)
{
    struct buf *in = &session->request.intake->in;
    size_t used = session->request.pull->ops->input(session->request.pull, in->at, in->len);
    buf_drop(in, used);
    if (!in->len)
        buf_free(in);
}

/* Reads once and has the pull use it; what is left is kept. False when there was nothing. */
static bool read_once(struct session *session)
{
    struct str bytes;
    int n = conn_read(&session->conn, &bytes);
    if (n < 0)
        conn_close(&session->conn);
    if (n <= 0)
        return false;
    size_t used = session->request.pull->ops->input(session->request.pull,
                                                    session->conn.net->read_room, bytes.len);
    return used == bytes.len || session->conn.dead || add_to_intake(session, str_skip(bytes, used));
}

/* The connection is not read while a stream is open or a poll waits, but its end is noticed. */
static void read_pull(struct session *session)
{
    if (!session->request.pull->ops->input) {
        if (session->conn.hup)
            conn_close(&session->conn);
        return;
    }
    while (!worker_is_spent(session->request.worker)) {
        mailbox_empty(&session->request.worker->loop.mailbox);
        if (!listens(session))
            return;
        if (has_begun(session))
            (void)session->request.pull->ops->input(session->request.pull, NULL, 0);
        else if (has_kept(session))
            give_kept(session);
        else if (!read_once(session))
            return;
    }
}

/* The kernel tells once of what has come: if it has become a pull, the rest is the pull's. */
static void read_requests(struct session *session)
{
    if (session->conn.readable)
        read_until_pull(session);
    if (session->request.pull &&
        (session->conn.readable || has_kept(session) || has_begun(session)))
        read_pull(session);
    else if (session->phase == PHASE_POLL && session->conn.hup)
        pipeline_waiting(session)->ops->leave(pipeline_waiting(session));
}

/* Whether there is something that it would read now. */
static bool would_read(const struct session *session)
{
    if (session->conn.dead ||
        (!session->conn.readable && !has_kept(session) && !has_begun(session)))
        return false;
    return session->request.pull ? listens(session) : incoming_may_follow(session);
}

/* Whether it holds so much of what has not come whole, while memory is tight, that others go first.
 * A peer that is done sending is read to its end, and a message that has come whole is handled,
 * which frees what they hold.
 * It is looked at again after a while; the deadline of its request or message holds all the same.
 */
static bool gives_way(struct session *session)
{
    struct worker *worker = session->request.worker;
    if (!worker_is_tight(worker) || !session->request.intake || session->conn.hup ||
        has_begun(session) || session->request.intake->holding.bytes < GIVE_WAY_LEAST ||
        !holding_is_large(&worker->holdings, &session->request.intake->holding))
        return false;
    read_later(session, &worker->paused);
    worker_check_paused(worker);
    return true;
}

/* Looks again at what was kept. Where that is the beginning of a request, the look has used up
 * budget and got nowhere: the step begins anew, so that the request is read on however small a step
 * is. */
static void process_kept(struct session *session)
{
    size_t before = session->request.intake ? session->request.intake->in.len : 0;
    process(session);
    if (before && has_kept(session) && session->request.intake->in.len == before &&
        !has_begun(session))
        worker_begin_step(session->request.worker);
}

/* The session's turn, within its budget. What is left then waits until all others had theirs. */
static void read_session(struct session *session, bool again)
{
    if (gives_way(session))
        return;
    worker_begin_step(session->request.worker);
    if (session->phase == PHASE_LINGER) {
        discard(session);
        return;
    }
    if (again && !session_is_taken(session))
        process_kept(session);
    read_requests(session);
    if (worker_is_spent(session->request.worker) && would_read(session))
        put_off(session);
    request_stream_count_intake(&session->request);
    session_drop_intake(session);
}

static void resume(struct request_stream *request)
{
    struct session *session = session_of(request);
    end_put_off(session);
    read_session(session, true);
}

/* Whether the session waits for its turn. Until then nothing of it is read, and its end is not
 * noticed. */
static bool is_queued(const struct session *session)
{
    return session->request.intake && list_linked(&session->request.intake->wait_node);
}

/* The peer is done sending: it waits for its answer, or is gone. Only a write would tell which, so
 * its reads of the store go on, but not for long. */
static void hurry(struct session *session)
{
    list_each (&session_intake(session)->exchanges, node) {
        struct question *question = container_of(node, struct pipelined, node)->exchange.question;
        if (question)
            question_hurry(question);
    }
}

static void readable(struct conn *conn)
{
    struct session *session = of_conn(conn);
    if (conn->hup && session_inflight(session))
        hurry(session);
    if (is_queued(session))
        return;
    if (worker_reads_later(session->request.worker))
        read_later(session, &session->request.worker->resumed);
    else
        read_session(session, false);
}

static void shut(struct session *session)
{
    if (session->phase == PHASE_LINGER)
        return;
    conn_shut(&session->conn);
    session_enter(session, PHASE_LINGER);
    session->conn.readable = true;
    worker_begin_step(session->request.worker);
    discard(session);
}

static struct str fill(struct conn *conn)
{
    struct session *session = of_conn(conn);
    struct request_stream *request = &session->request;
    struct str bytes = STR_NONE;
    if (!request_stream_is_clear(request))
        bytes = request_stream_unsent(request);
    else if (session->closing)
        shut(session);
    else if (request->pull)
        bytes = request->pull->ops->fill(request->pull);
    else if (session->phase == PHASE_POLL)
        pipeline_waiting(session)->ops->look(pipeline_waiting(session));
    if (!request_stream_lost(request))
        return bytes;
    conn_close(conn); /* something is missing in it */
    return STR_NONE;
}

static void out_is_sent(struct session *session)
{
    struct request_stream *request = &session->request;
    bool soon = session_inflight(session) || session->held || session->part;
    request->out->sent = 0;
    if (session_is_taken(session) || !soon || request->out->bytes.cap > OUT_KEEP)
        request_stream_drop_out(request); /* an idle connection holds none */
    else
        buf_clear(&request->out->bytes);
    if (session->held) { /* the held request may have waited for this; its own time begins now */
        session_intake(session)->held_ns = request->worker->loop.now_ns;
        request_stream_wake(request);
    }
    session_settle(session);
}

/* A slow peer is not one that does not read. */
static void note_progress(struct session *session)
{
    session->request.out->taken_ns = session->request.worker->loop.now_ns;
    if (session->phase == PHASE_SEND || (session->closing && session->phase != PHASE_LINGER))
        session_time_stall(session);
}

static bool sent(struct conn *conn, size_t n)
{
    struct session *session = of_conn(conn);
    struct request_stream *request = &session->request;
    if (request_stream_is_clear(request)) {
        bool more = request->pull->ops->sent(request->pull, n, !conn->writable);
        return more || session->closing || !request_stream_is_clear(request);
    }
    request_stream_advance(request, n);
    if (n)
        note_progress(session);
    if (request_stream_is_clear(request))
        out_is_sent(session);
    request_stream_count_out(request);
    return true;
}

static void refuse_unfinished(struct session *session)
{
    checked_end(session->request.worker, &session->request.intake->check);
    request_stream_drop_body(&session->request);
    session->held = false;
    if (session->request.pull && session->request.pull->ops->refuse)
        session->request.pull->ops->refuse(session->request.pull, PROBLEM_UNAVAILABLE);
    else if (session_is_taken(session))
        conn_close(&session->conn);
    else
        incoming_refuse(session, PROBLEM_UNAVAILABLE,
                        STR("too many unfinished requests (limits.held_max): try again"));
    buf_free(&session->request.intake->in);
}

/* Takes the holding out of the account: the buffers are freed only when the connection is
 * buried. */
static void stop_holding(struct session *session, struct holding *holding)
{
    struct rest_place *place = session->request.out ? &session->request.out->rest : NULL;
    if (place && place->rest && holding == &place->rest->holding)
        rest_drop(place);
    else
        holding_set(&session->request.worker->holdings, holding, (enum account_kind)holding->kind,
                    0);
}

/* Frees a holding. A peer with an unfinished request gets a refusal. A connection with unsent bytes
 * is closed: a subscriber comes back with its cursor. */
static void shed(struct request_stream *request, struct holding *holding)
{
    struct session *session = session_of(request);
    struct stream_intake *intake = session->request.intake;
    bool ends = session->closing || session->finished || session->conn.dead;
    bool refuse = intake && holding == &intake->holding && !ends;
    if (refuse)
        refuse_unfinished(session);
    else
        conn_close(&session->conn);
    if (!session->conn.dead) {
        request_stream_count_intake(&session->request);
        return;
    }
    stop_holding(session, holding);
    conn_bury_first(&session->conn); /* frees its memory soon */
}

static void closed(struct conn *conn)
{
    struct session *session = of_conn(conn);
    struct worker *worker = session->request.worker;
    timer_stop(&session->request.timer);
    list_remove(&session->node);
    pipeline_drop(session);
    if (session->request.pull)
        session->request.pull->ops->free(session->request.pull);
    request_stream_drop_intake(&session->request);
    request_stream_drop_out(&session->request);
    stat_set(&worker->stats.connections, worker->net.conns);
    if (session->refused)
        worker->refusing--;
    else
        atomic_fetch_sub(worker->config.connections, 1);
    worker_resume_accepting(worker);
    slab_give(session);
}

static const struct conn_ops conn_ops = {readable, fill, sent, hung_up, closed};

/* ---- the request stream's calls -------------------------------------------------------------- */

static void dirty(struct request_stream *request)
{
    conn_dirty(&session_of(request)->conn);
}

static void woken(struct request_stream *request, bool behind)
{
    struct conn *conn = &session_of(request)->conn;
    conn->behind = behind;
    if (request_stream_is_clear(request))
        conn_dirty_again(conn);
    else
        request_stream_dirty(request);
}

static void note_behind(struct request_stream *request, bool behind)
{
    session_of(request)->conn.behind = behind;
}

static void end(struct request_stream *request)
{
    struct session *session = session_of(request);
    if (session->chunked && !session->closing)
        http_chunk_end(request_stream_add(request));
    session_close_soon(session);
}

static void close_now(struct request_stream *request)
{
    conn_close(&session_of(request)->conn);
}

static enum request_stream_state state(const struct request_stream *request)
{
    const struct session *session = session_of(request);
    return session->conn.dead ? REQUEST_CLOSED : session->closing ? REQUEST_ENDING : REQUEST_OPEN;
}

static struct conn *conn_of(const struct request_stream *request)
{
    return &session_of(request)->conn;
}

static struct poll_pace *pace(const struct request_stream *request)
{
    return &session_of(request)->pace;
}

static void ring_in(struct request_stream *request, int64_t ms)
{
    if (!session_of(request)->draining)
        timer_set(&request->worker->loop, &request->timer, ms);
}

static void begin_wait(struct exchange *exchange)
{
    session_begin_wait(session_of(exchange->request));
}

static void end_wait(struct exchange *exchange)
{
    session_end_wait(session_of(exchange->request));
}

static struct stream_intake *intake_new(struct request_stream *request)
{
    struct session_intake *intake = mem_try_alloc(sizeof(*intake));
    if (!intake)
        return NULL;
    *intake =
        (struct session_intake){.common = {.request = request, .holding = {.request = request}}};
    list_init(&intake->exchanges);
    return &intake->common;
}

static const struct request_stream_ops request_ops = {
    .respond = pipeline_respond,
    .respond_known = pipeline_respond_known,
    .open = pipeline_open,
    .free_exchange = pipeline_free,
    .wait = begin_wait,
    .end_wait = end_wait,
    .dirty = dirty,
    .woken = woken,
    .behind = note_behind,
    .end = end,
    .close = close_now,
    .state = state,
    .conn = conn_of,
    .pace = pace,
    .ring_in = ring_in,
    .intake_new = intake_new,
    .resume = resume,
    .shed = shed,
};

/* ---- timers ---------------------------------------------------------------------------------- */

static void fate_unknown(struct session *session)
{
    struct pipelined *stand_in = pipeline_replace_first(session);
    if (!stand_in) {
        conn_close(&session->conn);
        return;
    }
    struct exchange *exchange = &stand_in->exchange;
    stand_in->keep_alive = false;
    if (exchange->publish.count)
        exchange_problem(
            exchange, PROBLEM_FATE_UNKNOWN,
            STR("the log did not confirm in time: retry with the same Idempotency-Key"), STR_NONE);
    else
        exchange_problem(exchange, PROBLEM_UNAVAILABLE, STR("the store is slow: try again"),
                         STR_NONE);
}

/* The phase may have lasted for long while answers came and went; what counts is the oldest. */
static void waited(struct session *session)
{
    if (!session_inflight(session) && !session->held) {
        session_settle(session); /* answered a moment ago, by mail of this turn */
        return;
    }
    if (session_inflight(session) && pipeline_first(session)->exchange.patient)
        return;
    if (!session_is_late(session))
        session_time_phase(session);
    else if (session_inflight(session))
        fate_unknown(session);
    else
        incoming_refuse(session, PROBLEM_UNAVAILABLE,
                        STR("the server could not take the request in time, since its log is "
                            "behind: try again"));
}

static void ring_pull(struct session *session)
{
    struct pull *pull = session->request.pull;
    bool drain = session->draining;
    session->draining = false;
    if (drain)
        pull->ops->drain(pull);
    else
        pull->ops->ring(pull);
}

/* The deadline may have moved since the timer was set, while the session waited for its turn. */
static void refuse_late(struct session *session)
{
    if (!session_is_late(session))
        session_time_phase(session);
    else
        incoming_refuse(session, PROBLEM_TIMEOUT,
                        STR("send the whole request without long pauses"));
}

static void ring(struct timer *timer)
{
    struct session *session = session_of(container_of(timer, struct request_stream, timer));
    if (session->conn.dead)
        return;
    if (session->closing) {
        if (!request_stream_is_clear(&session->request))
            worker_hit(session->request.worker, LIMIT_STALL);
        conn_close(&session->conn);
        return;
    }
    switch ((enum session_phase)session->phase) {
    case PHASE_POLL:
        session->draining = false;
        pipeline_waiting(session)->ops->ring(pipeline_waiting(session));
        break;
    case PHASE_PULL:
        ring_pull(session);
        break;
    case PHASE_HEAD:
    case PHASE_BODY:
        refuse_late(session);
        break;
    case PHASE_WAIT:
        waited(session);
        break;
    case PHASE_IDLE:
        if (session->refused) {
            incoming_refuse_connection(session);
            break;
        }
        worker_hit(session->request.worker, LIMIT_IDLE);
        conn_close(&session->conn);
        break;
    case PHASE_SEND:
        worker_hit(session->request.worker, LIMIT_STALL);
        conn_close(&session->conn);
        break;
    case PHASE_LINGER:
        conn_close(&session->conn);
        break;
    }
}

/* Some connections over connections_max may say what they want before they are refused: what is
 * right for an EventSource is not for others. They have so long to begin. */
enum { REFUSED_MS = 1000 };

/* Each worker has an equal share of them. */
static bool may_ask(const struct worker *worker)
{
    uint32_t count = worker->config.count ? worker->config.count : 1;
    uint32_t share = worker->config.refusing_max / count;
    return worker->refusing < share + (worker->config.index < worker->config.refusing_max % count);
}

static void refuse_unheard(int fd)
{
    struct str busy = http1_busy();
    ssize_t ignored = send(fd, busy.at, busy.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)ignored;
    close(fd);
}

/* Takes one of the connections that all workers may have; the kernel deals them out by chance. */
static bool may_connect(struct worker *worker)
{
    _Atomic uint32_t *connections = worker->config.connections;
    if (atomic_fetch_add(connections, 1) < worker->config.limits.connections_max)
        return true;
    atomic_fetch_sub(connections, 1);
    return false;
}

static struct session *session_new(struct worker *worker, int fd)
{
    struct session *session = slabs_take(&worker->slabs, sizeof(*session));
    if (!session) {
        close(fd);
        return NULL;
    }
    *session = (struct session){
        .request = {.ops = &request_ops, .worker = worker, .timer = {.ring = ring}}};
    if (!conn_init(&session->conn, &worker->net, fd, NET_PLAIN, &conn_ops))
        return session;
    slab_give(session);
    return NULL;
}

static void begin_session(struct worker *worker, struct session *session, int64_t ms)
{
    list_add_last(&worker->sessions, &session->node);
    stat_set(&worker->stats.connections, worker->net.conns);
    session->phase = PHASE_IDLE;
    timer_set(&worker->loop, &session->request.timer, ms);
}

static void refuse_connection(struct worker *worker, int fd)
{
    worker_hit(worker, LIMIT_CONNECTIONS);
    if (!may_ask(worker)) {
        refuse_unheard(fd);
        return;
    }
    struct session *session = session_new(worker, fd);
    if (!session)
        return;
    session->refused = true;
    worker->refusing++;
    begin_session(worker, session, REFUSED_MS);
}

void http1_accept(struct worker *worker, int fd)
{
    if (!may_connect(worker)) {
        refuse_connection(worker, fd);
        return;
    }
    struct session *session = session_new(worker, fd);
    if (!session) {
        atomic_fetch_sub(worker->config.connections, 1);
        return;
    }
    stat_add(&worker->stats.connections_total, 1);
    begin_session(worker, session, worker->config.limits.head_ms);
}
