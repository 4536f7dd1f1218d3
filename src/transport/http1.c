/* How a connection reads requests and keeps its responses in order.
 *
 * Bytes are read into the thread's room and parsed there. The connection keeps only the bytes that
 * are left over, so an idle one holds no buffer. Publishes may be pipelined: each becomes an
 * exchange, and responses are sent in the order of the requests, whichever is ready first. Any
 * other request waits until all earlier responses are sent, so that it sees their effect.
 *
 * A connection ends by http1_close_soon(): outgoing bytes are sent, then our side is shut, and
 * the bytes that still come from the peer are thrown away for a moment. To close a socket with
 * unread bytes would reset the connection, and could take the response along. */
#include "transport/http1.h"

#include "transport/entry.h"
#include "transport/checked.h"
#include "transport/http1_writer.h"
#include "transport/incoming.h"
#include "transport/pipeline.h"
#include "transport/review.h"
#include "transport/rounds.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* GIVE_WAY_LEAST: while memory is tight, a connection is still read if its unfinished request or
 * message holds less than this. */
enum {
    OUT_KEEP = 4096,
    LINGER_BYTES = 4 << 20,
    GIVE_WAY_LEAST = 64 * 1024,
};

static struct http1 *of_conn(struct conn *conn)
{
    return container_of(conn, struct http1, conn);
}

/* ---- reading ----------------------------------------------------------------------------- */

static void process(struct http1 *http1)
{
    if (http1->request.intake && http1->request.intake->in.len && !http1_is_taken(http1))
        incoming_read(http1, buf_str(&http1->request.intake->in));
    else
        http1_settle(http1);
}

/* ---- the connection's calls ------------------------------------------------------------------ */

static void hung_up(struct conn *conn)
{
    conn_close(conn);
}

/* Puts off reading a connection, because its budget or that of the turn is used up. `queue`: the
 * worker's list of such connections. */
static void read_later(struct http1 *http1, struct list *queue)
{
    struct stream_intake *intake = request_stream_take_in(&http1->request);
    if (!intake || list_linked(&intake->wait_node))
        return;
    list_add_last(queue, &intake->wait_node);
    /* While memory is tight the deadline still applies: it frees the memory of an unfinished
     * request. */
    if (queue != &http1->request.worker->paused)
        intake->later_ns = http1->request.worker->loop.now_ns;
}

/* The connection's turn has come. */
static void end_put_off(struct http1 *http1)
{
    struct stream_intake *intake = http1->request.intake;
    if (!intake || !intake->later_ns)
        return;
    if (intake->begun_ns)
        intake->begun_ns = request_stream_begun_ns(&http1->request);
    intake->later_ns = 0;
}

/* Whether a complete request or message is being checked or decompressed. */
static bool has_begun(const struct http1 *http1)
{
    const struct pull *pull = http1->request.pull;
    const struct stream_intake *intake = http1->request.intake;
    return (intake && (intake->check || (intake->body && intake->body->gzip.stream))) ||
           (pull && pull->ops->busy && pull->ops->busy(pull));
}

static void put_off(struct http1 *http1)
{
    struct worker *worker = http1->request.worker;
    struct list *begun = http1->request.pull ? &worker->unfinished : &worker->bodies;
    read_later(http1, has_begun(http1) ? begun : &worker->put_off);
    worker_put_off(worker, BUDGET_READ);
}

/* Read and discard, because unread bytes would make the kernel reset the connection and lose our
 * last bytes. */
static void discard(struct http1 *http1)
{
    struct str bytes;
    int n;
    size_t sum = 0;
    while ((n = conn_read(&http1->conn, &bytes)) > 0) {
        sum += (size_t)n;
        if (!worker_spend(http1->request.worker, (size_t)n))
            break;
    }
    if (n == 0)
        return;
    if (n > 0)
        put_off(http1);
    struct http1_intake *intake = http1_intake(http1);
    if (n < 0 || !intake || (intake->discarded += sum) > LINGER_BYTES)
        conn_close(&http1->conn);
}

/* A peer that has shut its side still gets the answers that are due. */
static void read_end(struct http1 *http1, int error)
{
    http1->conn.readable = false;
    http1->finished = true;
    bool clear = request_stream_is_clear(&http1->request) && conn_is_clear(&http1->conn);
    if (error != -EPIPE || (!http1_inflight(http1) && clear))
        conn_close(&http1->conn);
    else if (!http1_inflight(http1))
        http1_close_soon(http1);
}

/* Send the head of a stream or WebSocket at once: otherwise the heads of all connections that
 * arrive in a turn would be held until its end, and would enlarge the heap for good. */
static void send_head(struct http1 *http1)
{
    if (!http1->request.pull || http1_inflight(http1) || http1->closing ||
        request_stream_is_clear(&http1->request))
        return;
    desk_flush(&http1->request.worker->desk); /* whoever hears of it is a member */
    conn_flush(&http1->conn);
}

/* Appends bytes to the unused ones. Without memory closes the connection and returns false. */
static bool add_to_intake(struct http1 *http1, struct str bytes)
{
    struct stream_intake *intake = request_stream_take_in(&http1->request);
    if (!intake)
        return false;
    buf_add_str(&intake->in, bytes);
    if (!buf_failed(&intake->in))
        return true;
    conn_close(&http1->conn);
    return false;
}

static bool has_kept(const struct http1 *http1)
{
    return http1->request.intake && http1->request.intake->in.len;
}

static void read_until_pull(struct http1 *http1)
{
    while (incoming_may_follow(http1) && !worker_is_spent(http1->request.worker)) {
        struct str bytes;
        int n = conn_read(&http1->conn, &bytes);
        if (n == 0)
            return;
        if (n < 0) {
            read_end(http1, n);
            return;
        }
        /* Open the mail first: events that a client published before it sent these bytes are in
         * it. */
        mailbox_empty(&http1->request.worker->loop.mailbox);
        if (has_kept(http1)) {
            if (!add_to_intake(http1, bytes))
                return;
            bytes = buf_str(&http1->request.intake->in);
        }
        incoming_read(http1, bytes);
        send_head(http1);
    }
}

static bool listens(const struct http1 *http1)
{
    return !http1->conn.dead && !http1->closing && http1->request.pull->ops->input &&
           !http1->request.pull->ops->deaf(http1->request.pull);
}

/* Offers the unused bytes to the pull. */
static void give_kept(struct http1 *http1)
{
    struct buf *in = &http1->request.intake->in;
    size_t used = http1->request.pull->ops->input(http1->request.pull, in->at, in->len);
    buf_drop(in, used);
    if (!in->len)
        buf_free(in);
}

/* Reads once and offers the bytes to the pull; the rest is kept. Returns false if there was nothing
 * to read. */
static bool read_once(struct http1 *http1)
{
    struct str bytes;
    int n = conn_read(&http1->conn, &bytes);
    if (n < 0)
        conn_close(&http1->conn);
    if (n <= 0)
        return false;
    size_t used =
        http1->request.pull->ops->input(http1->request.pull, http1->conn.net->read_room, bytes.len);
    return used == bytes.len || http1->conn.dead || add_to_intake(http1, str_skip(bytes, used));
}

/* The connection is not read while a stream is open or a poll waits, but its end is noticed. */
static void read_pull(struct http1 *http1)
{
    if (!http1->request.pull->ops->input) {
        if (http1->conn.hup)
            conn_close(&http1->conn);
        return;
    }
    while (!worker_is_spent(http1->request.worker)) {
        mailbox_empty(&http1->request.worker->loop.mailbox);
        if (!listens(http1))
            return;
        if (has_begun(http1))
            (void)http1->request.pull->ops->input(http1->request.pull, NULL, 0);
        else if (has_kept(http1))
            give_kept(http1);
        else if (!read_once(http1))
            return;
    }
}

/* The kernel reports input once, so read on: if the request became a pull, the rest is the pull's.
 */
static void read_requests(struct http1 *http1)
{
    if (http1->conn.readable)
        read_until_pull(http1);
    if (http1->request.pull && (http1->conn.readable || has_kept(http1) || has_begun(http1)))
        read_pull(http1);
    else if (http1->phase == PHASE_POLL && http1->conn.hup)
        pipeline_waiting(http1)->ops->leave(pipeline_waiting(http1));
}

/* Whether the connection would use bytes if there were any now. */
static bool would_read(const struct http1 *http1)
{
    if (http1->conn.dead || (!http1->conn.readable && !has_kept(http1) && !has_begun(http1)))
        return false;
    return http1->request.pull ? listens(http1) : incoming_may_follow(http1);
}

/* Whether memory is tight and the connection holds much of an unfinished request or message, so
 * that others are read first. A peer that has shut its side is read to its end, and a complete
 * message is handled, since both free memory. The connection is looked at again after a while, and
 * its deadline still applies. */
static bool gives_way(struct http1 *http1)
{
    struct worker *worker = http1->request.worker;
    if (!worker_is_tight(worker) || !http1->request.intake || http1->conn.hup || has_begun(http1) ||
        http1->request.intake->holding.bytes < GIVE_WAY_LEAST ||
        !holding_is_large(&worker->holdings, &http1->request.intake->holding))
        return false;
    read_later(http1, &worker->paused);
    worker_check_paused(worker);
    return true;
}

/* Looks at kept bytes again. If they are the beginning of a request, that used some budget without
 * progress, so the step's budget begins again: even with a small one the request is then read on.
 */
static void process_kept(struct http1 *http1)
{
    size_t before = http1->request.intake ? http1->request.intake->in.len : 0;
    process(http1);
    if (before && has_kept(http1) && http1->request.intake->in.len == before && !has_begun(http1))
        worker_begin_step(http1->request.worker);
}

/* Serves the connection within its budget. The rest of its bytes waits until all others had their
 * turn. */
static void read_http1(struct http1 *http1, bool again)
{
    if (gives_way(http1))
        return;
    worker_begin_step(http1->request.worker);
    if (http1->phase == PHASE_LINGER) {
        discard(http1);
        return;
    }
    if (again && !http1_is_taken(http1))
        process_kept(http1);
    read_requests(http1);
    if (worker_is_spent(http1->request.worker) && would_read(http1))
        put_off(http1);
    request_stream_count_intake(&http1->request);
    http1_drop_intake(http1);
}

static void resume(struct request_stream *request)
{
    struct http1 *http1 = http1_of(request);
    end_put_off(http1);
    read_http1(http1, true);
}

/* Whether the connection waits in a queue to be read. Until then it is not read, and its end is not
 * noticed. */
static bool is_queued(const struct http1 *http1)
{
    return http1->request.intake && list_linked(&http1->request.intake->wait_node);
}

/* The peer has shut its side. It waits for its answer, or is gone; only a write would tell which.
 * So its reads of the store continue, but not for long. */
static void hurry(struct http1 *http1)
{
    list_each (&http1_intake(http1)->exchanges, node) {
        struct question *question = container_of(node, struct pipelined, node)->exchange.question;
        if (question)
            question_hurry(question);
    }
}

static void readable(struct conn *conn)
{
    struct http1 *http1 = of_conn(conn);
    if (conn->hup && http1_inflight(http1))
        hurry(http1);
    if (is_queued(http1))
        return;
    if (worker_reads_later(http1->request.worker))
        read_later(http1, &http1->request.worker->resumed);
    else
        read_http1(http1, false);
}

static void shut(struct http1 *http1)
{
    if (http1->phase == PHASE_LINGER)
        return;
    conn_shut(&http1->conn);
    http1_enter(http1, PHASE_LINGER);
    http1->conn.readable = true;
    worker_begin_step(http1->request.worker);
    discard(http1);
}

static struct str fill(struct conn *conn)
{
    struct http1 *http1 = of_conn(conn);
    struct request_stream *request = &http1->request;
    struct str bytes = STR_NONE;
    if (!request_stream_is_clear(request))
        bytes = request_stream_unsent(request);
    else if (http1->closing && conn_is_clear(conn))
        shut(http1);
    else if (request->pull && !http1->closing)
        bytes = request->pull->ops->fill(request->pull);
    else if (http1->phase == PHASE_POLL)
        pipeline_waiting(http1)->ops->look(pipeline_waiting(http1));
    if (!request_stream_lost(request))
        return bytes;
    conn_close(conn); /* something is missing in it */
    return STR_NONE;
}

static void out_is_sent(struct http1 *http1)
{
    struct request_stream *request = &http1->request;
    bool soon = http1_inflight(http1) || http1->held || http1->part;
    request->out->sent = 0;
    if (http1_is_taken(http1) || !soon || request->out->bytes.cap > OUT_KEEP)
        request_stream_drop_out(request); /* an idle connection holds none */
    else
        buf_clear(&request->out->bytes);
    if (http1->held) { /* the held request may have waited for this; its own deadline begins now */
        http1_intake(http1)->held_ns = request->worker->loop.now_ns;
        request_stream_wake(request);
    }
    http1_settle(http1);
}

/* A peer that reads slowly is not treated like a peer that reads nothing. */
static void note_progress(struct http1 *http1)
{
    http1->request.out->taken_ns = http1->request.worker->loop.now_ns;
    if (http1->phase == PHASE_SEND || (http1->closing && http1->phase != PHASE_LINGER))
        http1_time_stall(http1);
}

static bool sent(struct conn *conn, size_t n)
{
    struct http1 *http1 = of_conn(conn);
    struct request_stream *request = &http1->request;
    if (request_stream_is_clear(request)) {
        bool more = request->pull->ops->sent(request->pull, n, !conn->writable);
        return more || http1->closing || !request_stream_is_clear(request);
    }
    request_stream_advance(request, n);
    if (n)
        note_progress(http1);
    if (request_stream_is_clear(request))
        out_is_sent(http1);
    request_stream_count_out(request);
    return true;
}

static void refuse_unfinished(struct http1 *http1)
{
    checked_end(http1->request.worker, &http1->request.intake->check);
    request_stream_drop_body(&http1->request);
    http1->held = false;
    if (http1->request.pull && http1->request.pull->ops->refuse)
        http1->request.pull->ops->refuse(http1->request.pull, PROBLEM_UNAVAILABLE);
    else if (http1_is_taken(http1))
        conn_close(&http1->conn);
    else
        incoming_refuse(http1, PROBLEM_UNAVAILABLE,
                        STR("too many unfinished requests (limits.held_max): try again"));
    buf_free(&http1->request.intake->in);
}

/* Removes the holding from the account; its buffers are freed when the connection is freed. */
static void stop_holding(struct http1 *http1, struct holding *holding)
{
    struct rest_place *place = http1->request.out ? &http1->request.out->rest : NULL;
    if (place && place->rest && holding == &place->rest->holding)
        rest_drop(place);
    else
        holding_set(&http1->request.worker->holdings, holding, (enum account_kind)holding->kind, 0);
}

/* Frees a holding. A peer with an unfinished request gets a refusal. A connection with unsent bytes
 * is closed: a subscriber comes back with its cursor. */
static void shed(struct request_stream *request, struct holding *holding)
{
    struct http1 *http1 = http1_of(request);
    struct stream_intake *intake = http1->request.intake;
    bool ends = http1->closing || http1->finished || http1->conn.dead;
    bool refuse = intake && holding == &intake->holding && !ends;
    if (refuse)
        refuse_unfinished(http1);
    else
        conn_close(&http1->conn);
    if (!http1->conn.dead) {
        request_stream_count_intake(&http1->request);
        return;
    }
    stop_holding(http1, holding);
    conn_bury_first(&http1->conn); /* frees its memory soon */
}

static void closed(struct conn *conn)
{
    struct http1 *http1 = of_conn(conn);
    struct worker *worker = http1->request.worker;
    timer_stop(&http1->request.timer);
    list_remove(&http1->conn.node);
    pipeline_drop(http1);
    if (http1->request.pull)
        http1->request.pull->ops->free(http1->request.pull);
    request_stream_drop_intake(&http1->request);
    request_stream_drop_out(&http1->request);
    stat_set(&worker->stats.connections, worker->net.conns);
    if (!conn_is_handed_over(conn))
        entry_end(worker, http1->refused, conn->place);
    worker_resume_accepting(worker);
    slab_give(http1);
}

static void drain(struct conn *conn, uint32_t after_ms)
{
    http1_drain(of_conn(conn), after_ms);
}

static void review(struct conn *conn)
{
    struct http1 *http1 = of_conn(conn);
    if (http1->request.pull)
        review_pull(http1->request.pull);
    else if (http1->phase == PHASE_POLL)
        pipeline_waiting(http1)->ops->ring(pipeline_waiting(http1));
}

static void visit(struct conn *conn, void *visitor)
{
    struct http1 *http1 = of_conn(conn);
    if (http1->request.pull)
        rounds_show(visitor, &http1->request, NULL);
    else if (http1->phase == PHASE_POLL)
        rounds_show(visitor, &http1->request, pipeline_waiting(http1));
}

static const struct conn_ops conn_ops = {readable, fill,  sent,   hung_up,
                                         closed,   drain, review, visit};

/* ---- the request stream's calls -------------------------------------------------------------- */

static void dirty(struct request_stream *request)
{
    conn_dirty(&http1_of(request)->conn);
}

static void woken(struct request_stream *request, bool behind)
{
    struct conn *conn = &http1_of(request)->conn;
    conn->behind = behind;
    if (request_stream_is_clear(request))
        conn_dirty_again(conn);
    else
        request_stream_dirty(request);
}

static void note_behind(struct request_stream *request, bool behind)
{
    http1_of(request)->conn.behind = behind;
}

static void end(struct request_stream *request)
{
    struct http1 *http1 = http1_of(request);
    if (http1->chunked && !http1->closing)
        http_chunk_end(request_stream_add(request));
    http1_close_soon(http1);
}

static void close_now(struct request_stream *request)
{
    conn_close(&http1_of(request)->conn);
}

static enum request_stream_state state(const struct request_stream *request)
{
    const struct http1 *http1 = http1_of(request);
    return http1->conn.dead ? REQUEST_CLOSED : http1->closing ? REQUEST_ENDING : REQUEST_OPEN;
}

static struct conn *conn_of(const struct request_stream *request)
{
    return &http1_of(request)->conn;
}

static uint32_t id_of(const struct request_stream *request)
{
    return http1_of(request)->conn.id;
}

static struct poll_pace *pace(const struct request_stream *request)
{
    return &http1_of(request)->pace;
}

static void ring_in(struct request_stream *request, int64_t ms)
{
    if (!http1_of(request)->draining)
        timer_set(&request->worker->loop, &request->timer, ms);
}

static void begin_wait(struct exchange *exchange)
{
    http1_begin_wait(http1_of(exchange->request));
}

static void end_wait(struct exchange *exchange)
{
    http1_end_wait(http1_of(exchange->request));
}

static struct stream_intake *intake_new(struct request_stream *request)
{
    struct http1_intake *intake = mem_try_alloc(sizeof(*intake));
    if (!intake)
        return NULL;
    *intake =
        (struct http1_intake){.common = {.request = request, .holding = {.request = request}}};
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
    .id = id_of,
    .pace = pace,
    .ring_in = ring_in,
    .intake_new = intake_new,
    .resume = resume,
    .shed = shed,
};

/* ---- timers ---------------------------------------------------------------------------------- */

static void answer_late(struct http1 *http1)
{
    bool was_parked = pipeline_first(http1)->exchange.parked != NULL;
    struct pipelined *stand_in = pipeline_replace_first(http1);
    if (!stand_in) {
        conn_close(&http1->conn);
        return;
    }
    stand_in->keep_alive = false;
    exchange_answer_late(&stand_in->exchange, was_parked);
}

/* Count from the oldest unanswered exchange: the phase may be older, with answers in between. */
static void waited(struct http1 *http1)
{
    if (!http1_inflight(http1) && !http1->held) {
        http1_settle(http1); /* answered a moment ago, by mail of this turn */
        return;
    }
    if (http1_inflight(http1) && pipeline_first(http1)->exchange.patient)
        return;
    if (!http1_is_late(http1))
        http1_time_phase(http1);
    else if (http1_inflight(http1))
        answer_late(http1);
    else
        incoming_refuse(http1, PROBLEM_UNAVAILABLE,
                        STR("the server could not take the request in time, since its log is "
                            "behind: try again"));
}

static void ring_pull(struct http1 *http1)
{
    struct pull *pull = http1->request.pull;
    bool drain = http1->draining;
    http1->draining = false;
    if (drain)
        pull->ops->goodbye(pull, ENDING_DRAIN);
    else
        pull->ops->ring(pull);
}

/* The deadline may have moved since the timer was set, while the connection waited for its turn. */
static void refuse_late(struct http1 *http1)
{
    if (!http1_is_late(http1))
        http1_time_phase(http1);
    else
        incoming_refuse(http1, PROBLEM_TIMEOUT, STR("send the whole request without long pauses"));
}

static void ring(struct timer *timer)
{
    struct http1 *http1 = http1_of(container_of(timer, struct request_stream, timer));
    if (http1->conn.dead)
        return;
    if (http1->closing) {
        if (!request_stream_is_clear(&http1->request))
            worker_hit(http1->request.worker, LIMIT_STALL);
        conn_close(&http1->conn);
        return;
    }
    switch ((enum http1_phase)http1->phase) {
    case PHASE_POLL:
        http1->draining = false;
        pipeline_waiting(http1)->ops->ring(pipeline_waiting(http1));
        break;
    case PHASE_PULL:
        ring_pull(http1);
        break;
    case PHASE_HEAD:
    case PHASE_BODY:
        refuse_late(http1);
        break;
    case PHASE_WAIT:
        waited(http1);
        break;
    case PHASE_IDLE:
        if (http1->refused) {
            incoming_refuse_connection(http1);
            break;
        }
        worker_hit(http1->request.worker, LIMIT_IDLE);
        http1_close_idle(http1);
        break;
    case PHASE_SEND:
        worker_hit(http1->request.worker, LIMIT_STALL);
        conn_close(&http1->conn);
        break;
    case PHASE_LINGER:
        conn_close(&http1->conn);
        break;
    }
}

/* Connections over a limit have this long to send a request. */
enum { REFUSED_MS = 1000 };

static struct http1 *http1_new(struct worker *worker, enum entry_excess refused)
{
    struct http1 *http1 = slabs_take(&worker->slabs, sizeof(*http1));
    if (http1)
        *http1 = (struct http1){
            .request = {.ops = &request_ops, .worker = worker, .timer = {.ring = ring}},
            .refused = refused & 3};
    return http1;
}

static void begin_http1(struct http1 *http1)
{
    struct worker *worker = http1->request.worker;
    list_add_last(&worker->connections, &http1->conn.node);
    stat_set(&worker->stats.connections, worker->net.conns);
    http1->phase = PHASE_IDLE;
    timer_set(&worker->loop, &http1->request.timer,
              http1->refused ? REFUSED_MS : worker->config.limits.head_ms);
}

void http1_accept(struct worker *worker, int fd, uint8_t door, const struct entry *entry)
{
    struct http1 *http1 = http1_new(worker, entry->excess);
    if (!http1)
        close(fd);
    else if (!conn_init(&http1->conn, &worker->net, fd, NET_PLAIN, &conn_ops)) {
        http1->conn.door = door;
        http1->conn.place = entry->place;
        begin_http1(http1);
        return;
    }
    entry_end(worker, entry->excess, entry->place);
    slab_give(http1);
}

void http1_take(struct worker *worker, struct conn *from, enum entry_excess refused)
{
    struct http1 *http1 = http1_new(worker, refused);
    if (!http1 || conn_hand_over(from, &http1->conn, &conn_ops)) {
        slab_give(http1);
        conn_close(from);
        return;
    }
    begin_http1(http1);
    readable(&http1->conn);
    if (worker->draining)
        http1_drain(http1, 0);
}
