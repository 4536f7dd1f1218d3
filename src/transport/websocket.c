#include "transport/websocket.h"

#include "transport/checked.h"
#include "ws/handshake.h"

#include <errno.h>
#include <stdlib.h>

/* The charge for a piece of decompressed message, so that usually the time decides. */
enum { INFLATE_COST = 2 * BUDGET_STRIDE };

static struct socket *of_pull(struct pull *pull)
{
    return container_of(pull, struct socket, pull);
}

/* ---- closing --------------------------------------------------------------------------------- */

void socket_close(struct socket *socket, unsigned code, struct str reason)
{
    struct request_stream *request = socket->pull.request;
    if (socket->close_sent || request->ops->state(request) != REQUEST_OPEN)
        return;
    socket->close_sent = true;
    ws_add_close(request_stream_add(request), code, reason, NULL);
    if (socket->close_seen)
        request_stream_end(request);
    else
        timer_set(&request->worker->loop, &request->timer, request->worker->config.limits.close_ms);
    request_stream_dirty(request);
}

void socket_close_problem(struct socket *socket, enum problem problem)
{
    struct worker *worker = socket->pull.request->worker;
    struct buf reason = {0};
    stat_add(&worker->stats.problems[problem], 1);
    problem_add_type(&reason, worker->config.base, problem);
    socket_close(socket, problem_close_code(problem), buf_str(&reason));
    buf_free(&reason);
}

static void on_close(struct socket *socket, unsigned code)
{
    struct request_stream *request = socket->pull.request;
    socket->close_seen = true;
    socket->close_code = (uint16_t)code;
    /* Earlier publishes still count, and the peer may wait for the echo. */
    socket->close_due = socket->inflight > 0;
    if (socket->close_sent)
        request_stream_end(request);
    else if (!socket->close_due)
        socket_close(socket, code, STR_NONE);
}

static void set_timer(struct socket *socket);

/* ---- frames in ------------------------------------------------------------------------------- */

static void on_event(struct socket *socket, const struct ws_event *event)
{
    struct request_stream *request = socket->pull.request;
    switch (event->opcode) {
    case WS_TEXT:
    case WS_BINARY:
        if (request->intake)
            request->intake->begun_ns = 0;
        if (!socket->close_sent)
            socket->ops->message(socket, event->opcode, event->data);
        break;
    case WS_PING:
        if (!socket->close_sent)
            ws_add_frame(request_stream_add(request), true, false, WS_PONG, event->data, NULL);
        request_stream_dirty(request);
        break;
    case WS_CLOSE:
        on_close(socket, event->close_code);
        break;
    case WS_PONG:
    case WS_CONTINUATION:
        break;
    }
}

static void on_broken(struct socket *socket, int result)
{
    if (result == WS_E_TOO_BIG)
        worker_hit(socket->pull.request->worker, LIMIT_MESSAGE);
    socket->close_seen = true; /* nothing more can be read, so nothing more is waited for */
    socket_close(socket, ws_error_close_code(result), ws_error_reason(result));
}

/* A peer that sends pings and reads no pongs must not fill our memory. */
static bool out_is_full(const struct request_stream *request)
{
    return request_stream_own_len(request) > request->worker->config.limits.ws.message_max;
}

/* Answers go out at the end of the turn. A peer that asks much and reads is not read on until then,
 * so that only what it does not take counts against it. */
static void pause_to_send(const struct request_stream *request)
{
    struct worker *worker = request->worker;
    if (request_stream_conn(request)->writable &&
        request_stream_own_len(request) > worker->config.limits.ws.message_max / 2)
        worker_end_step(worker);
}

/* Whether publishes that wait for the log fill memory. inflight_max counts between reads only. */
static bool is_pressed(const struct socket *socket)
{
    return socket->inflight && worker_pressed(socket->pull.request->worker);
}

/* A compressed message may become a thousand times as large, and as much work. It is read when all
 * other connections had their turn. What is sent in less than 126 bytes does not become much. */
static bool is_for_later(const struct socket *socket, struct str bytes)
{
    enum { RSV1 = 0x40, CONTROL = 0x08, LENGTH = 0x7f, LONG = 126 };
    const uint8_t *head = (const uint8_t *)bytes.at;
    return socket->reader.inflater && !socket->pull.request->worker->decompresses &&
           bytes.len >= 2 && ws_reader_idle(&socket->reader) && (head[0] & RSV1) &&
           !(head[0] & CONTROL) && (head[1] & LENGTH) >= LONG;
}

/* Whether the message may be handled: the JSON of a large one is checked before, in pieces. Until
 * then it stays the reader's, so that there must be no next call. */
static bool is_checked(struct socket *socket, struct str text)
{
    struct request_stream *request = socket->pull.request;
    if (!socket->ops->json || socket->close_sent || text.len <= CHECKED_LARGE ||
        !ws_reader_owns(&socket->reader, text) || !request_stream_take_in(request))
        return true;
    return checked_go_on(request->worker, &request->intake->check, text);
}

static void handle_event(struct socket *socket, const struct ws_event *event)
{
    struct request_stream *request = socket->pull.request;
    if (event->opcode == WS_TEXT && !is_checked(socket, event->data))
        return;
    on_event(socket, event);
    if (request->intake)
        checked_end(request->worker, &request->intake->check);
}

static bool is_checking(const struct socket *socket)
{
    const struct request_stream *request = socket->pull.request;
    return request->intake && request->intake->check;
}

/* Goes on with the check of the last message. */
static void check_on(struct socket *socket)
{
    struct worker *worker = socket->pull.request->worker;
    const struct json_scan *check = socket->pull.request->intake->check;
    struct ws_event event = {.opcode = WS_TEXT, .data = check->text};
    size_t inflated = ws_reader_inflated(&socket->reader);
    account_add(&worker->account, ACCOUNT_INFLATED, inflated);
    handle_event(socket, &event);
    account_sub(&worker->account, ACCOUNT_INFLATED, inflated);
}

/* Reads a message or control frame; returns false if this step must end. */
static bool input_one(struct socket *socket, struct str *bytes)
{
    struct worker *worker = socket->pull.request->worker;
    struct ws_event event = {.data = STR_NONE};
    size_t used = 0;
    if (is_checking(socket)) {
        check_on(socket);
        pause_to_send(socket->pull.request);
        return !worker_is_spent(worker) && !request_stream_is_closed(socket->pull.request) &&
               !is_pressed(socket);
    }
    if (!ws_reader_is_inflating(&socket->reader) && is_for_later(socket, *bytes)) {
        worker_end_step(worker);
        return false;
    }
    int result =
        ws_reader_feed(&socket->reader, (char *)(uintptr_t)bytes->at, bytes->len, &used, &event);
    *bytes = str_skip(*bytes, used);
    size_t inflated = ws_reader_inflated(&socket->reader);
    account_add(&worker->account, ACCOUNT_INFLATED, inflated);
    if (result == WS_EVENT)
        handle_event(socket, &event);
    else if (result != WS_MORE)
        on_broken(socket, result);
    account_sub(&worker->account, ACCOUNT_INFLATED, inflated);
    pause_to_send(socket->pull.request);
    bool inflating = ws_reader_is_inflating(&socket->reader);
    size_t cost = inflating ? INFLATE_COST : event.data.len > used ? event.data.len : used;
    bool more = worker_spend(worker, cost) && (result == WS_EVENT || inflating);
    return more && !request_stream_is_closed(socket->pull.request) && !is_pressed(socket);
}

/* Compressed messages that have begun hold up others that would; see is_for_later(). */
static void count_inflating(struct socket *socket, bool inflates)
{
    if (socket->inflates == inflates)
        return;
    socket->inflates = inflates;
    socket->pull.request->worker->inflating += inflates ? 1U : -1U;
}

size_t socket_held(const struct pull *pull)
{
    return ws_reader_held(&container_of(pull, const struct socket, pull)->reader);
}

bool socket_is_busy(const struct pull *pull)
{
    const struct socket *socket = container_of(pull, const struct socket, pull);
    return is_checking(socket) || ws_reader_is_inflating(&socket->reader);
}

void socket_refuse_rest(struct pull *pull, enum problem problem)
{
    struct socket *socket = of_pull(pull);
    if (pull->request->intake)
        checked_end(pull->request->worker, &pull->request->intake->check);
    ws_reader_give_up(&socket->reader);
    count_inflating(socket, false);
    socket->close_seen = true; /* nothing more is read, so nothing more is waited for */
    if (socket->close_sent)
        request_stream_close(pull->request);
    else
        socket_close_problem(socket, problem);
}

/* A message that has begun has a deadline, as a request has. */
static void time_message(struct socket *socket)
{
    struct request_stream *request = socket->pull.request;
    if (ws_reader_idle(&socket->reader) || socket->close_sent || request_stream_is_closed(request))
        return;
    struct stream_intake *intake = request_stream_take_in(request);
    if (!intake || intake->begun_ns)
        return;
    intake->begun_ns = request->worker->loop.now_ns;
    set_timer(socket);
}

size_t socket_input(struct pull *pull, char *bytes, size_t len)
{
    struct socket *socket = of_pull(pull);
    struct request_stream *request = pull->request;
    struct str rest = {bytes, len};
    struct ws_event none;
    size_t used;
    if (len)
        socket->beats_unanswered = 0;
    while (input_one(socket, &rest))
        ;
    if (socket->reader.error)
        rest.len = 0;
    else if (!socket_is_busy(pull))
        (void)ws_reader_feed(&socket->reader, NULL, 0, &used, &none); /* lets the event go */
    count_inflating(socket, socket_is_busy(pull) && (ws_reader_is_inflating(&socket->reader) ||
                                                     ws_reader_inflated(&socket->reader)));
    time_message(socket);
    if (out_is_full(request))
        worker_hit(request->worker, LIMIT_RESTS);
    if (out_is_full(request) || request_stream_lost(request))
        request_stream_close(request);
    return len - rest.len;
}

/* ---- publishes ------------------------------------------------------------------------------- */

/* A socket that only listens goes on being read: it costs the log nothing. */
bool socket_deaf(struct pull *pull)
{
    struct socket *socket = of_pull(pull);
    struct request_stream *request = pull->request;
    if (socket->inflight >= request->worker->config.limits.inflight_max)
        return true; /* until one is answered */
    if (!socket->publishes || !worker_pressed(request->worker))
        return false;
    request_stream_pause(request);
    return true;
}

static struct socket_publish *oldest(const struct socket *socket)
{
    return container_of(socket->publishes_open.next, struct socket_publish, node);
}

static int64_t ms_until(const struct socket *socket, int64_t ns)
{
    int64_t ms = (ns - socket->pull.request->worker->loop.now_ns) / 1000000;
    return ms > 0 ? ms : 0;
}

static int64_t deadline_ns(const struct socket *socket, const struct socket_publish *publish)
{
    return publish->since_ns + socket->pull.request->worker->config.limits.publish_ms * 1000000;
}

/* When the message that is under way must have come whole; INT64_MAX without one. */
static int64_t message_ns(const struct socket *socket)
{
    const struct request_stream *request = socket->pull.request;
    int64_t ms = request->worker->config.limits.message_ms;
    if (!request->intake || !request->intake->begun_ns)
        return INT64_MAX;
    return request_stream_begun_ns(request) + ms * 1000000;
}

/* Sets the only timer: for heartbeats, for the current message, and for publishes without a
 * verdict. */
static void set_timer(struct socket *socket)
{
    int64_t next_ns = message_ns(socket);
    int64_t ms = ms_until(socket, socket->beat_ns < next_ns ? socket->beat_ns : next_ns);
    if (!list_empty(&socket->publishes_open)) {
        int64_t left_ms = ms_until(socket, deadline_ns(socket, oldest(socket)));
        ms = left_ms < ms ? left_ms : ms;
    }
    if (!socket->close_sent)
        request_stream_ring_in(socket->pull.request, ms);
}

static void add_publish(struct socket *socket, struct socket_publish *publish)
{
    bool first = list_empty(&socket->publishes_open);
    publish->socket = socket;
    publish->since_ns = socket->pull.request->worker->loop.now_ns;
    list_add_last(&socket->publishes_open, &publish->node);
    if (++socket->inflight == socket->pull.request->worker->config.limits.inflight_max)
        worker_hit(socket->pull.request->worker, LIMIT_INFLIGHT);
    socket->publishes = true;
    if (first)
        set_timer(socket);
}

bool socket_submit(struct socket *socket, struct proposal *proposal, struct socket_publish *publish,
                   struct refusal *ret_refusal)
{
    struct request_stream *request = socket->pull.request;
    struct worker *worker = request->worker;
    const struct conn *conn = request_stream_conn(request);
    struct publisher publisher = {.conn = conn, .origin = conn->id};
    proposal->accepted_ns = worker->loop.now_ns;
    if (!publish)
        return refusal_no_memory(ret_refusal);
    if (!submit_proposal(&worker->submitter, &publisher, proposal, &publish->publish, ret_refusal))
        return false;
    add_publish(socket, publish);
    return true;
}

static void forget_publish(struct socket *socket, struct socket_publish *publish)
{
    list_remove(&publish->node);
    publish->socket = NULL;
    if (socket->inflight-- == socket->pull.request->worker->config.limits.inflight_max)
        request_stream_wake(socket->pull.request);
    if (socket->close_due)
        request_stream_dirty(socket->pull.request);
}

bool socket_end_publish(struct socket_publish *publish)
{
    struct socket *socket = publish->socket;
    if (!socket)
        return false;
    forget_publish(socket, publish);
    publish->socket = socket;
    return true;
}

/* Publishes that are not safe in time: what becomes of them is not known, and is not waited for. */
static void give_up_late(struct socket *socket)
{
    int64_t now_ns = socket->pull.request->worker->loop.now_ns;
    while (!list_empty(&socket->publishes_open)) {
        struct socket_publish *publish = oldest(socket);
        if (deadline_ns(socket, publish) > now_ns)
            break;
        forget_publish(socket, publish);
        if (socket->ops->lost)
            socket->ops->lost(socket, publish);
    }
}

/* ---- pull operations ------------------------------------------------------------------------- */

struct str socket_fill(struct socket *socket)
{
    struct request_stream *request = socket->pull.request;
    bool is_due = socket->close_due && !socket->inflight && !socket->close_sent;
    if (is_due && request_stream_is_clear(request))
        socket_close(socket, socket->close_code, STR_NONE);
    return request_stream_unsent(request);
}

static void beat_later(struct socket *socket)
{
    socket->beat_ns =
        socket->pull.request->worker->loop.now_ns + socket->beat_s * INT64_C(1000000000);
}

/* Closes if the peer has answered neither of the last two beats: a program may be gone while its
 * kernel still acknowledges. What has come and is not read yet may be the answer. */
static bool close_silent(struct socket *socket)
{
    struct request_stream *request = socket->pull.request;
    if (socket->beats_unanswered < 2 || request_stream_conn(request)->readable)
        return request_stream_close_deserted(request, socket->beat_s);
    worker_hit(request->worker, LIMIT_GONE);
    request_stream_close(request);
    return true;
}

/* A peer for which there is something to send already needs no sign of life, and gets none. */
static void beat(struct socket *socket)
{
    struct request_stream *request = socket->pull.request;
    if (close_silent(socket))
        return;
    if (request_stream_is_clear(request) && request_stream_conn(request)->writable) {
        socket->ops->beat(socket);
        if (!request_stream_is_clear(request)) /* there was a beat to send */
            socket->beats_unanswered++;
        request_stream_dirty(request);
    }
    beat_later(socket);
}

/* A message that did not come whole in time ends the connection, unless it was we who did not read.
 */
static bool refuse_late_message(struct socket *socket)
{
    struct request_stream *request = socket->pull.request;
    struct worker *worker = request->worker;
    if (message_ns(socket) > worker->loop.now_ns)
        return false;
    request->intake->begun_ns = worker->loop.now_ns;
    if (socket->inflight >= worker->config.limits.inflight_max || worker_pressed(worker))
        return false;
    socket_refuse_rest(&socket->pull, PROBLEM_TIMEOUT);
    request_stream_count_intake(request);
    return true;
}

void socket_ring(struct pull *pull)
{
    struct socket *socket = of_pull(pull);
    if (socket->close_sent) {
        worker_hit(pull->request->worker, LIMIT_CLOSE); /* the peer did not answer our close */
        request_stream_close(pull->request);
        return;
    }
    if (refuse_late_message(socket))
        return;
    give_up_late(socket);
    if (!ms_until(socket, socket->beat_ns))
        beat(socket);
    if (!request_stream_is_closed(pull->request))
        set_timer(socket);
}

void socket_drain(struct pull *pull)
{
    struct socket *socket = of_pull(pull);
    if (socket->close_sent) {
        request_stream_close(pull->request);
        return;
    }
    socket->close_code = WS_CLOSE_RESTART;
    socket->close_due = socket->inflight > 0; /* publishes are answered first */
    request_stream_dirty(pull->request);
    if (socket->close_due)
        set_timer(socket);
    else
        socket_close(socket, WS_CLOSE_RESTART, STR("the server restarts: come back"));
}

void socket_deinit(struct socket *socket)
{
    for (struct list *node; (node = list_take_first(&socket->publishes_open));)
        container_of(node, struct socket_publish, node)->socket = NULL;
    ws_reader_deinit(&socket->reader);
    count_inflating(socket, false);
}

/* ---- the handshake --------------------------------------------------------------------------- */

/* All values of a header as one list. */
static void join(const struct http_head *head, struct str name, struct buf *out)
{
    struct str value;
    for (size_t pos = 0; http_header_next(head, name, &pos, &value);) {
        if (out->len)
            buf_add_lit(out, ", ");
        buf_add_str(out, value);
    }
}

static int negotiate(const struct http_head *head, struct ws_deflate_params *ret)
{
    struct buf extensions = {0};
    join(head, STR("sec-websocket-extensions"), &extensions);
    *ret = (struct ws_deflate_params){0};
    int result = extensions.len ? ws_negotiate_deflate(buf_str(&extensions), ret) : 0;
    if (buf_failed(&extensions))
        result = -ENOMEM;
    buf_free(&extensions);
    return result;
}

/* PROBLEM_COUNT when the handshake is one. */
static enum problem check(const struct exchange *exchange, struct str *ret_detail)
{
    const struct http_head *head = exchange->head;
    size_t pos = 0, keys = 0;
    struct str value, key = STR_NONE;
    while (http_header_next(head, STR("sec-websocket-key"), &pos, &value)) {
        key = value;
        keys++;
    }
    if (!str_eq(http_header(head, STR("sec-websocket-version")), STR("13"))) {
        *ret_detail = STR("say Sec-WebSocket-Version: 13");
        return PROBLEM_UPGRADE_REQUIRED;
    }
    if (head->method != HTTP_GET || head->minor < 1) {
        *ret_detail = STR("a WebSocket is opened by GET over HTTP/1.1");
        return PROBLEM_BAD_HANDSHAKE;
    }
    if (keys != 1 || !ws_key_valid(key)) {
        *ret_detail = STR("Sec-WebSocket-Key must be there once, 16 bytes in base64");
        return PROBLEM_BAD_HANDSHAKE;
    }
    return PROBLEM_COUNT;
}

static void make_head(struct response *response, const struct exchange *exchange,
                      struct str protocol, const uint64_t *cursor,
                      const struct ws_deflate_params *deflate)
{
    char accept[WS_ACCEPT_LEN];
    response_init(response, 101);
    if (ws_accept_key(http_header(exchange->head, STR("sec-websocket-key")), accept))
        response_fail(response);
    response_add(response, STR("Upgrade"), STR("websocket"));
    response_add(response, STR("Connection"), STR("Upgrade"));
    buf_add(response_compose(response, STR("Sec-WebSocket-Accept")), accept, sizeof(accept));
    if (protocol.len)
        response_add(response, STR("Sec-WebSocket-Protocol"), protocol);
    if (cursor)
        buf_add_id(response_compose(response, STR("Cursor")), *cursor);
    if (deflate->enabled)
        ws_add_deflate_answer(response_compose(response, STR("Sec-WebSocket-Extensions")), deflate);
}

bool socket_open(struct exchange *exchange, struct socket *socket, struct str protocol,
                 const uint64_t *cursor)
{
    struct worker *worker = exchange->worker;
    struct ws_deflate_params deflate;
    struct response response;
    struct str detail;
    socket->browser = exchange->browser;
    list_init(&socket->publishes_open);
    enum problem problem = check(exchange, &detail);
    if (problem == PROBLEM_COUNT && negotiate(exchange->head, &deflate)) {
        problem = PROBLEM_BAD_HANDSHAKE;
        detail = STR("Sec-WebSocket-Extensions is not a list of extensions");
    }
    if (problem != PROBLEM_COUNT) {
        socket->pull.ops->free(&socket->pull);
        exchange_problem(exchange, problem, detail, STR_NONE);
        return false;
    }
    socket->window_bits = deflate.enabled ? deflate.server_max_window_bits : 0;
    ws_reader_init(&socket->reader, WS_SERVER, &worker->config.limits.ws,
                   deflate.enabled ? &worker->inflater : NULL);
    make_head(&response, exchange, protocol, cursor, &deflate);
    if (!exchange_pull(exchange, &response, &socket->pull))
        return false;
    beat_later(socket);
    set_timer(socket);
    return true;
}

/* ---- refusing -------------------------------------------------------------------------------- */

static void refused_message(struct socket *socket, enum ws_opcode opcode, struct str data)
{
    (void)socket;
    (void)opcode;
    (void)data;
}

static void refused_beat(struct socket *socket)
{
    (void)socket;
}

static struct str refused_fill(struct pull *pull)
{
    return socket_fill(of_pull(pull));
}

static bool refused_sent(struct pull *pull, size_t n, bool blocked)
{
    (void)n;
    (void)blocked;
    return socket_sent(of_pull(pull), true);
}

static void refused_free(struct pull *pull)
{
    socket_deinit(of_pull(pull));
    free(of_pull(pull));
}

static const struct socket_ops refused_ops = {.message = refused_message, .beat = refused_beat};
static const struct pull_ops refused_pull = {
    SOCKET_PULL,           .fill = refused_fill, .sent = refused_sent,
    .drain = socket_drain, .free = refused_free,
};

/* Opens a socket that is about to be closed. A browser hangs up before it reads our close frame
 * unless one of its protocols is chosen. NULL: the exchange was answered otherwise. */
static struct socket *open_refused(struct exchange *exchange)
{
    struct socket *socket = mem_try_alloc(sizeof(*socket));
    if (!socket) {
        exchange_problem(exchange, PROBLEM_UNAVAILABLE, STR("no memory: try again"), STR_NONE);
        return NULL;
    }
    *socket = (struct socket){.pull = {.ops = &refused_pull}, .ops = &refused_ops, .beat_s = 60};
    struct str list = http_header(exchange->head, STR("sec-websocket-protocol"));
    struct str protocol = list.at && exchange->browser ? str_trim(str_cut(&list, ',')) : STR_NONE;
    return socket_open(exchange, socket, protocol, NULL) ? socket : NULL;
}

void socket_refuse(struct exchange *exchange, enum problem problem, struct str detail)
{
    if (!exchange->browser) {
        exchange_problem(exchange, problem, detail, STR_NONE);
        return;
    }
    struct socket *socket = open_refused(exchange);
    if (socket)
        socket_close_problem(socket, problem);
}

void socket_refuse_protocols(struct exchange *exchange, struct str reason)
{
    stat_add(&exchange->worker->stats.problems[PROBLEM_BAD_HANDSHAKE], 1);
    struct socket *socket = open_refused(exchange);
    if (socket)
        socket_close(socket, problem_close_code(PROBLEM_BAD_HANDSHAKE), reason);
}
