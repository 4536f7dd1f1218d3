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
#include "transport/checked.h"
#include "transport/http1_writer.h"
#include "transport/incoming.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* The event that the connection waits for, and so the meaning of its timer. */
enum session_phase {
    PHASE_IDLE, /* between requests */
    PHASE_HEAD,
    PHASE_BODY,
    PHASE_WAIT, /* responses are due */
    PHASE_SEND, /* a response is to be sent */
    PHASE_PULL,
    PHASE_LINGER, /* our side is shut */
};

/* GIVE_WAY_LEAST: who holds less of what has not come whole is read on while memory is tight. */
enum {
    OUT_KEEP = 4096,
    LINGER_MS = 2000,
    LINGER_BYTES = 4 << 20,
    GIVE_WAY_LEAST = 64 * 1024,
};

static struct session *of_conn(struct conn *conn)
{
    return container_of(conn, struct session, conn);
}

static int64_t phase_ms(const struct session *session)
{
    const struct worker_limits *limits = &session->worker->config.limits;
    switch ((enum session_phase)session->phase) {
    case PHASE_IDLE:
        return limits->idle_ms;
    case PHASE_HEAD:
        return limits->head_ms;
    case PHASE_BODY:
        return limits->body_ms;
    case PHASE_WAIT:
        return limits->publish_ms;
    case PHASE_SEND:
        return limits->stall_ms;
    case PHASE_LINGER:
        return LINGER_MS;
    case PHASE_PULL:
        break;
    }
    return -1;
}

static int64_t ms_since(const struct session *session, int64_t ns)
{
    return (session->worker->loop.now_ns - ns) / 1000000;
}

int64_t session_begun_ns(const struct session *session)
{
    const struct session_intake *intake = session->intake;
    int64_t put_off_ns = intake->later_ns ? session->worker->loop.now_ns - intake->later_ns : 0;
    return intake->begun_ns + put_off_ns;
}

/* How long ago that began which the phase gives time for. */
static int64_t phase_age_ms(const struct session *session)
{
    switch ((enum session_phase)session->phase) {
    case PHASE_HEAD:
    case PHASE_BODY:
        return ms_since(session, session_begun_ns(session));
    case PHASE_WAIT:
        return ms_since(session, session->inflight ? session_first(session)->since_ns
                                                   : session->intake->held_ns);
    case PHASE_SEND:
        return ms_since(session, session->out->taken_ns);
    case PHASE_IDLE:
    case PHASE_PULL:
    case PHASE_LINGER:
        break;
    }
    return 0;
}

static void set_phase_timer(struct session *session)
{
    int64_t ms = phase_ms(session);
    if (ms < 0)
        return;
    ms -= phase_age_ms(session);
    timer_set(&session->worker->loop, &session->timer, ms > 0 ? ms : 0);
}

/* A byte now and then, or answers in between, do not put a deadline off: time counts from where
 * the part of the request, or the wait, began. */
static void enter(struct session *session, enum session_phase phase)
{
    if (session->phase == phase && list_linked(&session->timer.node))
        return;
    session->phase = (uint8_t)phase;
    set_phase_timer(session);
}

void session_ring_in(struct session *session, int64_t ms)
{
    if (!session->draining)
        timer_set(&session->worker->loop, &session->timer, ms);
}

/* The last acknowledgement came a moment after a beat went out: half a beat more than two tells a
 * peer that missed two from one that missed one. */
bool session_close_deserted(struct session *session, unsigned beat_s)
{
    if (!conn_is_deserted(&session->conn, beat_s * INT64_C(2500)))
        return false;
    worker_hit(session->worker, LIMIT_GONE);
    conn_close(&session->conn);
    return true;
}

void session_wake(struct session *session)
{
    struct session_intake *intake = session_take_in(session);
    if (intake && !list_linked(&intake->wait_node))
        list_add_last(&session->worker->resumed, &intake->wait_node);
}

void session_pause(struct session *session)
{
    struct worker *worker = session->worker;
    struct session_intake *intake = session_take_in(session);
    if (!intake || list_linked(&intake->wait_node))
        return;
    list_add_last(&worker->paused, &intake->wait_node);
    worker_hit(worker, LIMIT_PENDING);
    worker_check_paused(worker);
}

static void set_stall_timer(struct session *session)
{
    timer_set(&session->worker->loop, &session->timer, session->worker->config.limits.stall_ms);
}

void session_close_soon(struct session *session)
{
    session->closing = true;
    conn_dirty(&session->conn);
    /* A peer that does not read may not keep us from closing. */
    set_stall_timer(session);
}

/* ---- unsent bytes
 * -------------------------------------------------------------------------------- */

/* Bytes that sockets do not take are memory that slow peers could make us hold without limit: rests
 * of events, and responses. A connection holds no more memory than there are bytes, and shares the
 * rest of a large event with all others that lack a part of it; see rest.h. All of it counts
 * against rests_max, beyond which the largest connections are closed. */

enum { FIT_SLACK = 1024 };

/* Moves what is unsent to the front and gives the rest back, once that is a fifth: so often that
 * little is wasted, and so seldom that each byte is moved a few times at most. */
static void fit(struct session_out *out)
{
    size_t left = out->bytes.len - out->sent;
    if (out->bytes.cap - left <= left / 4 + FIT_SLACK)
        return;
    buf_drop(&out->bytes, out->sent);
    out->sent = 0;
    buf_fit(&out->bytes);
}

static void count_out(struct session *session)
{
    struct worker *worker = session->worker;
    struct session_out *out = session->out;
    if (!out || session->conn.dead)
        return;
    bool taken = session->conn.writable;
    if (!taken)
        fit(out);
    holding_set(&worker->holdings, &out->holding, taken ? ACCOUNT_ANSWERS : ACCOUNT_RESTS,
                out->bytes.cap);
    while (account_held(&worker->account, ACCOUNT_RESTS) > worker->config.limits.rests_max) {
        struct holding *largest = holdings_largest(&worker->holdings, ACCOUNT_RESTS);
        if (!largest)
            return;
        worker_hit(worker, LIMIT_RESTS);
        session_shed(largest->session, largest);
    }
}

/* Without memory for what is to be sent the connection cannot go on. */
static struct session_out *out_new(struct session *session)
{
    struct session_out *out = mem_try_alloc(sizeof(*out));
    if (out)
        *out = (struct session_out){.session = session, .holding = {.session = session}};
    else
        conn_close(&session->conn);
    return out;
}

struct buf *session_add(struct session *session)
{
    if (!session->out)
        session->out = out_new(session);
    if (!session->out)
        return &session->worker->no_room;
    if (session_is_clear(session))
        session->out->taken_ns = session->worker->loop.now_ns;
    return &session->out->bytes;
}

/* A rest is kept when all before it is sent, so that it goes first. */
static bool share_rest(struct session *session, struct str rest, struct piece *piece)
{
    struct session_out *out = session->out;
    return piece && out && session_is_clear(session) &&
           rest_keep(&session->worker->holdings, &out->rest, session, piece,
                     piece->bytes.len - rest.len);
}

void session_keep_rest(struct session *session, struct str rest, struct piece *piece)
{
    if (!rest.len)
        return;
    struct buf *own = session_add(session);
    if (!share_rest(session, rest, piece))
        buf_add_str(own, rest);
    count_out(session);
}

static void drop_out(struct session *session)
{
    if (!session->out)
        return;
    rest_drop(&session->out->rest);
    holding_set(&session->worker->holdings, &session->out->holding, ACCOUNT_RESTS, 0);
    buf_free(&session->out->bytes);
    free(session->out);
    session->out = NULL;
}

void session_dirty(struct session *session)
{
    count_out(session); /* there may be more of it now */
    conn_dirty(&session->conn);
}

void session_woken(struct session *session, const struct sub *sub)
{
    session->conn.behind = sub->state == SUB_BEHIND;
    if (session_is_clear(session))
        conn_dirty_again(&session->conn);
    else
        session_dirty(session);
}

bool session_has_more(struct session *session, const struct sub *sub)
{
    session->conn.behind = !sub_is_live(sub) && sub->state != SUB_QUEUED;
    return !sub_is_live(sub);
}

/* ---- pulls ----------------------------------------------------------------------------------- */

void session_begin_pull(struct session *session, struct pull *pull)
{
    session->pull = pull;
    pull->session = session;
    session->phase = PHASE_PULL;
    if (session->intake)
        session->intake->begun_ns = 0;
    timer_stop(&session->timer);
    if (session->worker->draining)
        session_drain(session, 0); /* ends at once, as politely as the rest */
}

void session_end_pull(struct session *session)
{
    session->pull = NULL;
    session->draining = false;
    timer_stop(&session->timer);
    enter(session, PHASE_WAIT);
}

/* ---- received bytes
 * ------------------------------------------------------------------------------ */

struct session_intake *session_take_in(struct session *session)
{
    if (session->intake)
        return session->intake;
    struct session_intake *intake = mem_try_alloc(sizeof(*intake));
    if (!intake) {
        conn_close(&session->conn);
        return NULL;
    }
    *intake = (struct session_intake){.session = session, .holding = {.session = session}};
    list_init(&intake->exchanges);
    return session->intake = intake;
}

static void free_intake(struct session *session)
{
    struct session_intake *intake = session->intake;
    if (!intake)
        return;
    list_remove(&intake->wait_node);
    checked_end(session->worker, &intake->check);
    incoming_drop_body(session);
    buf_free(&intake->in);
    holding_set(&session->worker->holdings, &intake->holding, ACCOUNT_INTAKE, 0);
    free(intake);
    session->intake = NULL;
}

static size_t pull_held(const struct session *session)
{
    const struct pull *pull = session->pull;
    return pull && pull->ops->held ? pull->ops->held(pull) : 0;
}

void session_count_intake(struct session *session)
{
    size_t bytes = pull_held(session);
    if (session->conn.dead || (bytes && !session_take_in(session)) || !session->intake)
        return;
    struct session_intake *intake = session->intake;
    bytes += intake->in.cap + (intake->body ? session_body_held(intake->body) : 0);
    holding_set(&session->worker->holdings, &intake->holding, ACCOUNT_INTAKE, bytes);
}

void session_drop_intake(struct session *session)
{
    const struct session_intake *intake = session->intake;
    if (!intake || session->inflight || session->held || session->part || intake->in.len ||
        intake->body || intake->check || list_linked(&intake->wait_node) || pull_held(session))
        return;
    free_intake(session);
}

/* ---- reading ----------------------------------------------------------------------------- */

void session_settle(struct session *session)
{
    if (session->closing || session->conn.dead || session->pull)
        return;
    if (!session->inflight && !session_is_clear(session))
        enter(session, PHASE_SEND);
    else if (session->inflight || session->held)
        enter(session, PHASE_WAIT);
    else if (session->part)
        enter(session, session->part == PART_BODY ? PHASE_BODY : PHASE_HEAD);
    else
        enter(session, PHASE_IDLE);
}

static void process(struct session *session)
{
    if (session->intake && session->intake->in.len && !session->pull)
        incoming_read(session, buf_str(&session->intake->in));
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
    struct session_intake *intake = session_take_in(session);
    if (!intake || list_linked(&intake->wait_node))
        return;
    list_add_last(queue, &intake->wait_node);
    /* While memory is tight the deadline holds: it frees what is held for an unfinished request. */
    if (queue != &session->worker->paused)
        intake->later_ns = session->worker->loop.now_ns;
}

/* The session's turn has come. */
static void end_wait(struct session *session)
{
    struct session_intake *intake = session->intake;
    if (!intake || !intake->later_ns)
        return;
    if (intake->begun_ns)
        intake->begun_ns = session_begun_ns(session);
    intake->later_ns = 0;
}

/* Whether a request or message that has come whole is being checked, or decompressed. */
static bool has_begun(const struct session *session)
{
    const struct pull *pull = session->pull;
    const struct session_intake *intake = session->intake;
    return (intake && (intake->check || (intake->body && intake->body->gzip.stream))) ||
           (pull && pull->ops->busy && pull->ops->busy(pull));
}

static void put_off(struct session *session)
{
    struct worker *worker = session->worker;
    struct list *begun = session->pull ? &worker->unfinished : &worker->bodies;
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
        if (!worker_spend(session->worker, (size_t)n))
            break;
    }
    if (n == 0)
        return;
    if (n > 0)
        put_off(session);
    if (n < 0 || !session->intake || (session->intake->discarded += sum) > LINGER_BYTES)
        conn_close(&session->conn);
}

/* A peer that is done sending still gets the answers that are due. */
static void read_end(struct session *session, int error)
{
    session->conn.readable = false;
    session->finished = true;
    if (error != -EPIPE || (!session->inflight && session_is_clear(session)))
        conn_close(&session->conn);
    else if (!session->inflight)
        session_close_soon(session);
}

/* The head of a stream, or of a socket, goes out at once: as many connections as come in one turn
 * would hold as many heads until its end, and leave the heap that large. */
static void send_head(struct session *session)
{
    if (session->pull && !session->inflight && !session->closing && !session_is_clear(session))
        conn_flush(&session->conn);
}

/* Adds bytes to what has come and was not used; false when there was no memory and the connection
 * is closed for it. */
static bool add_to_intake(struct session *session, struct str bytes)
{
    struct session_intake *intake = session_take_in(session);
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
    return session->intake && session->intake->in.len;
}

static void read_until_pull(struct session *session)
{
    while (incoming_may_follow(session) && !worker_is_spent(session->worker)) {
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
        mailbox_empty(&session->worker->loop.mailbox);
        if (has_kept(session)) {
            if (!add_to_intake(session, bytes))
                return;
            bytes = buf_str(&session->intake->in);
        }
        incoming_read(session, bytes);
        send_head(session);
    }
}

static bool listens(const struct session *session)
{
    return !session->conn.dead && !session->closing && session->pull->ops->input &&
           !session->pull->ops->deaf(session->pull);
}

/* Has the pull use what came and was not used yet. */
static void give_kept(struct session *session)
{
    struct buf *in = &session->intake->in;
    size_t used = session->pull->ops->input(session->pull, in->at, in->len);
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
    size_t used = session->pull->ops->input(session->pull, session->conn.net->read_room, bytes.len);
    return used == bytes.len || session->conn.dead || add_to_intake(session, str_skip(bytes, used));
}

/* Nothing is read while a stream is open or a poll waits, but its end is noticed. */
static void leave_pull(struct session *session)
{
    struct pull *pull = session->pull;
    if (!session->conn.hup || pull->ops->brief)
        return;
    if (pull->ops->leave)
        pull->ops->leave(pull);
    else
        conn_close(&session->conn);
}

static void read_pull(struct session *session)
{
    if (!session->pull->ops->input) {
        leave_pull(session);
        return;
    }
    while (!worker_is_spent(session->worker)) {
        mailbox_empty(&session->worker->loop.mailbox);
        if (!listens(session))
            return;
        if (has_begun(session))
            (void)session->pull->ops->input(session->pull, NULL, 0);
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
    if (session->pull && (session->conn.readable || has_kept(session) || has_begun(session)))
        read_pull(session);
}

/* Whether there is something that it would read now. */
static bool would_read(const struct session *session)
{
    if (session->conn.dead ||
        (!session->conn.readable && !has_kept(session) && !has_begun(session)))
        return false;
    return session->pull ? listens(session) : incoming_may_follow(session);
}

/* Whether it holds so much of what has not come whole, while memory is tight, that others go first.
 * A peer that is done sending is read to its end, and a message that has come whole is handled,
 * which frees what they hold.
 * It is looked at again after a while; the deadline of its request or message holds all the same.
 */
static bool gives_way(struct session *session)
{
    struct worker *worker = session->worker;
    if (!worker_is_tight(worker) || !session->intake || session->conn.hup || has_begun(session) ||
        session->intake->holding.bytes < GIVE_WAY_LEAST ||
        !holding_is_large(&worker->holdings, &session->intake->holding))
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
    size_t before = session->intake ? session->intake->in.len : 0;
    process(session);
    if (before && has_kept(session) && session->intake->in.len == before && !has_begun(session))
        worker_begin_step(session->worker);
}

/* The session's turn, within its budget. What is left then waits until all others had theirs. */
static void read_session(struct session *session, bool again)
{
    if (gives_way(session))
        return;
    worker_begin_step(session->worker);
    if (session->phase == PHASE_LINGER) {
        discard(session);
        return;
    }
    if (again && !session->pull)
        process_kept(session);
    read_requests(session);
    if (worker_is_spent(session->worker) && would_read(session))
        put_off(session);
    session_count_intake(session);
    session_drop_intake(session);
}

void session_resume(struct session *session)
{
    end_wait(session);
    read_session(session, true);
}

/* Whether the session waits for its turn. Until then nothing of it is read, and its end is not
 * noticed. */
static bool is_queued(const struct session *session)
{
    return session->intake && list_linked(&session->intake->wait_node);
}

/* The peer is done sending: it waits for its answer, or is gone. Only a write would tell which, so
 * its reads of the store go on, but not for long. */
static void hurry(struct session *session)
{
    list_each (&session->intake->exchanges, node) {
        struct exchange *exchange = container_of(node, struct exchange, node);
        if (exchange->question)
            question_hurry(exchange->question);
    }
}

static void readable(struct conn *conn)
{
    struct session *session = of_conn(conn);
    if (conn->hup && session->inflight)
        hurry(session);
    if (is_queued(session))
        return;
    if (worker_reads_later(session->worker))
        read_later(session, &session->worker->resumed);
    else
        read_session(session, false);
}

static void shut(struct session *session)
{
    if (session->phase == PHASE_LINGER)
        return;
    shutdown(session->conn.fd, SHUT_WR);
    enter(session, PHASE_LINGER);
    session->conn.readable = true;
    worker_begin_step(session->worker);
    discard(session);
}

static struct str fill(struct conn *conn)
{
    struct session *session = of_conn(conn);
    struct str bytes = STR_NONE;
    if (!session_is_clear(session))
        bytes = session_unsent(session);
    else if (session->closing)
        shut(session);
    else if (session->pull)
        bytes = session->pull->ops->fill(session->pull);
    if (!session_lost(session))
        return bytes;
    conn_close(conn); /* something is missing in it */
    return STR_NONE;
}

static void out_is_sent(struct session *session)
{
    struct session_out *out = session->out;
    bool soon = session->inflight || session->held || session->part;
    out->sent = 0;
    if (session->pull || !soon || out->bytes.cap > OUT_KEEP)
        drop_out(session); /* an idle connection holds none */
    else
        buf_clear(&out->bytes);
    if (session->held) { /* the held request may have waited for this; its own time begins now */
        session->intake->held_ns = session->worker->loop.now_ns;
        session_wake(session);
    }
    session_settle(session);
}

/* A slow peer is not one that does not read. */
static void note_progress(struct session *session)
{
    session->out->taken_ns = session->worker->loop.now_ns;
    if (session->phase == PHASE_SEND || (session->closing && session->phase != PHASE_LINGER))
        set_stall_timer(session);
}

static bool sent(struct conn *conn, size_t n)
{
    struct session *session = of_conn(conn);
    if (session_is_clear(session)) {
        bool more = session->pull->ops->sent(session->pull, n, !conn->writable);
        return more || session->closing || !session_is_clear(session);
    }
    if (session->out->rest.rest)
        rest_advance(&session->out->rest, n);
    else
        session->out->sent += n;
    if (n)
        note_progress(session);
    if (session_is_clear(session))
        out_is_sent(session);
    count_out(session);
    return true;
}

static void refuse_unfinished(struct session *session)
{
    checked_end(session->worker, &session->intake->check);
    incoming_drop_body(session);
    session->held = false;
    if (session->pull && session->pull->ops->refuse)
        session->pull->ops->refuse(session->pull, PROBLEM_UNAVAILABLE);
    else if (session->pull)
        conn_close(&session->conn);
    else
        incoming_refuse(session, PROBLEM_UNAVAILABLE,
                        STR("the server holds as many unfinished requests as it may: try again"));
    buf_free(&session->intake->in);
}

/* Takes the holding out of the account: the buffers are freed only when the connection is
 * buried. */
static void stop_holding(struct session *session, struct holding *holding)
{
    struct rest_place *place = session->out ? &session->out->rest : NULL;
    if (place && place->rest && holding == &place->rest->holding)
        rest_drop(place);
    else
        holding_set(&session->worker->holdings, holding, (enum account_kind)holding->kind, 0);
}

/* Frees a holding. A peer with an unfinished request gets a refusal. A connection with unsent bytes
 * is closed: a subscriber comes back with its cursor. */
void session_shed(struct session *session, struct holding *holding)
{
    struct session_intake *intake = session->intake;
    bool ends = session->closing || session->finished || session->conn.dead;
    bool refuse = intake && holding == &intake->holding && !ends;
    if (refuse)
        refuse_unfinished(session);
    else
        conn_close(&session->conn);
    if (!session->conn.dead) {
        session_count_intake(session);
        return;
    }
    stop_holding(session, holding);
    conn_bury_first(&session->conn); /* frees its memory soon */
}

static void drop_exchanges(struct session_intake *intake)
{
    for (struct list *node; (node = list_take_first(&intake->exchanges));) {
        struct exchange *exchange = container_of(node, struct exchange, node);
        exchange->session = NULL;
        if (exchange->question)
            question_drop(exchange->question);
        if (exchange->answered)
            exchange_free(exchange);
        else
            exchange->dropped = true; /* freed when it is answered */
    }
}

static void closed(struct conn *conn)
{
    struct session *session = of_conn(conn);
    struct worker *worker = session->worker;
    timer_stop(&session->timer);
    list_remove(&session->node);
    if (session->intake)
        drop_exchanges(session->intake);
    if (session->pull)
        session->pull->ops->free(session->pull);
    free_intake(session);
    drop_out(session);
    stat_set(&worker->stats.connections, worker->net.conns);
    if (session->refused)
        worker->refusing--;
    else
        atomic_fetch_sub(worker->config.connections, 1);
    worker_resume_accepting(worker);
    slab_give(session);
}

static const struct conn_ops ops = {readable, fill, sent, hung_up, closed};

/* ---- timers ---------------------------------------------------------------------------------- */

static void fate_unknown(struct session *session)
{
    struct exchange *first = session_first(session);
    /* The first is replaced by an answer of our own; the real one finds itself dropped. */
    struct exchange *stand_in = mem_try_alloc(sizeof(*stand_in) + first->origin_len);
    if (!stand_in) {
        conn_close(&session->conn);
        return;
    }
    *stand_in = *first;
    memcpy(stand_in->origin, first->origin, first->origin_len);
    if (first->question)
        question_drop(first->question);
    stand_in->question = NULL;
    stand_in->keep_alive = false;
    stand_in->answer = (struct buf){0};
    stand_in->holding = (struct holding){.session = session};
    list_insert_before(&first->node, &stand_in->node);
    list_remove(&first->node);
    first->session = NULL;
    first->dropped = true;
    if (stand_in->publish.count)
        exchange_problem(
            stand_in, PROBLEM_FATE_UNKNOWN,
            STR("the log did not confirm in time: retry with the same Idempotency-Key"), STR_NONE);
    else
        exchange_problem(stand_in, PROBLEM_UNAVAILABLE, STR("the store is slow: try again"),
                         STR_NONE);
}

/* The phase may have lasted for long while answers came and went; what counts is the oldest. */
static void waited(struct session *session)
{
    bool due = phase_age_ms(session) >= session->worker->config.limits.publish_ms;
    if (!session->inflight && !session->held) {
        session_settle(session); /* answered a moment ago, by mail of this turn */
        return;
    }
    if (session->inflight && session_first(session)->patient)
        return;
    if (!due)
        set_phase_timer(session);
    else if (session->inflight)
        fate_unknown(session);
    else
        incoming_refuse(session, PROBLEM_UNAVAILABLE, STR("the log is behind: try again"));
}

/* Makes the newest exchange the last of the connection, which its response says. */
static void end_after_exchanges(struct session *session)
{
    session_last(session)->keep_alive = false;
    session->finished = true;
}

void session_drain(struct session *session, uint32_t after_ms)
{
    if (session->closing || session->draining)
        return;
    if (session->inflight)
        end_after_exchanges(session);
    if (session->pull) {
        session->draining = true;
        timer_set(&session->worker->loop, &session->timer, after_ms);
        return;
    }
    if (session->inflight || session->held || session->part)
        return; /* the next answer will be the last */
    if (session_is_clear(session))
        conn_close(&session->conn);
    else
        session_close_soon(session);
}

static void ring_pull(struct session *session)
{
    struct pull *pull = session->pull;
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
    if (phase_age_ms(session) < phase_ms(session))
        set_phase_timer(session);
    else
        incoming_refuse(session, PROBLEM_TIMEOUT,
                        STR("send the whole request without long pauses"));
}

static void ring(struct timer *timer)
{
    struct session *session = container_of(timer, struct session, timer);
    if (session->conn.dead)
        return;
    if (session->closing) {
        if (!session_is_clear(session))
            worker_hit(session->worker, LIMIT_STALL);
        conn_close(&session->conn);
        return;
    }
    switch ((enum session_phase)session->phase) {
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
        worker_hit(session->worker, LIMIT_IDLE);
        conn_close(&session->conn);
        break;
    case PHASE_SEND:
        worker_hit(session->worker, LIMIT_STALL);
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
    *session = (struct session){.worker = worker, .timer = {.ring = ring}};
    if (!conn_init(&session->conn, &worker->net, fd, &ops))
        return session;
    slab_give(session);
    return NULL;
}

static void begin_session(struct worker *worker, struct session *session, int64_t ms)
{
    list_add_last(&worker->sessions, &session->node);
    stat_set(&worker->stats.connections, worker->net.conns);
    session->phase = PHASE_IDLE;
    timer_set(&worker->loop, &session->timer, ms);
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

void session_accept(struct worker *worker, int fd)
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
