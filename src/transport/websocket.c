#include "transport/websocket.h"

#include "http/token.h"
#include "transport/audit_notes.h"
#include "transport/checked.h"
#include "transport/permits.h"
#include "ws/handshake.h"

#include <errno.h>
#include <stdlib.h>

/* The charge for a piece of a decompressed message, so low that mostly the time decides. */
enum { INFLATE_COST = 2 * BUDGET_STRIDE };

static struct websocket *of_pull(struct pull *pull)
{
    return container_of(pull, struct websocket, pull);
}

/* ---- closing --------------------------------------------------------------------------------- */

void websocket_close(struct websocket *websocket, unsigned code, struct str reason)
{
    struct request_stream *request = websocket->pull.request;
    if (websocket->close_sent || request->ops->state(request) != REQUEST_OPEN)
        return;
    websocket->close_sent = true;
    ws_add_close(request_stream_add(request), code, reason, NULL);
    if (websocket->close_seen)
        request_stream_end(request);
    else
        timer_set(&request->worker->loop, &request->timer, request->worker->config.limits.close_ms);
    request_stream_dirty(request);
}

void websocket_close_problem(struct websocket *websocket, enum problem problem)
{
    struct worker *worker = websocket->pull.request->worker;
    struct buf reason = {0};
    stat_add(&worker->stats.problems[problem], 1);
    problem_add_type(&reason, worker->config.base, problem);
    websocket_close(websocket, problem_close_code(problem), buf_str(&reason));
    buf_free(&reason);
}

void websocket_close_refusal(struct websocket *websocket, const struct refusal *refusal)
{
    struct pull *pull = &websocket->pull;
    struct worker *worker = pull->request->worker;
    struct buf members = {0};
    struct json_writer writer = json_members_writer(&members);
    refusal_write(&writer, refusal);
    audit_note_refusal(worker, pull->request, live_caller(worker, pull), refusal->problem,
                       str_from(refusal->detail), buf_str(&members));
    buf_free(&members);
    websocket_close_problem(websocket, refusal->problem);
}

static void on_close(struct websocket *websocket, unsigned code)
{
    struct request_stream *request = websocket->pull.request;
    websocket->close_seen = true;
    websocket->close_code = (uint16_t)code;
    /* Publishes that came before still count, and the peer may wait for their echo. */
    websocket->close_due = websocket->inflight > 0;
    if (websocket->close_sent)
        request_stream_end(request);
    else if (!websocket->close_due)
        websocket_close(websocket, code, STR_NONE);
}

static void set_timer(struct websocket *websocket);

/* ---- frames in ------------------------------------------------------------------------------- */

static void on_event(struct websocket *websocket, const struct ws_event *event)
{
    struct request_stream *request = websocket->pull.request;
    switch (event->opcode) {
    case WS_TEXT:
    case WS_BINARY:
        if (request->intake)
            request->intake->begun_ns = 0;
        if (!websocket->close_sent)
            permits_handle(websocket, event->opcode, event->data);
        break;
    case WS_PING:
        if (!websocket->close_sent)
            ws_add_frame(request_stream_add(request), true, false, WS_PONG, event->data, NULL);
        request_stream_dirty(request);
        break;
    case WS_CLOSE:
        on_close(websocket, event->close_code);
        break;
    case WS_PONG:
    case WS_CONTINUATION:
        break;
    }
}

static void on_broken(struct websocket *websocket, int result)
{
    if (result == WS_E_TOO_BIG)
        worker_hit(websocket->pull.request->worker, LIMIT_MESSAGE);
    websocket->close_seen = true; /* nothing more can be read, so nothing more is waited for */
    websocket_close(websocket, ws_error_close_code(result), ws_error_reason(result));
}

/* A peer that sends pings and never reads the pongs must not fill our memory. */
static bool out_is_full(const struct request_stream *request)
{
    return request_stream_own_len(request) > request->worker->config.limits.ws.message_max;
}

/* Answers go out at the end of the turn. Read no further from a peer with many answers until then,
 * so that only answers that it does not read count against it. */
static void pause_to_send(const struct request_stream *request)
{
    struct worker *worker = request->worker;
    if (request_stream_conn(request)->writable &&
        request_stream_own_len(request) > worker->config.limits.ws.message_max / 2)
        worker_end_step(worker);
}

/* Whether publishes that wait for the log hold too much memory; inflight_max is checked between
 * reads only. */
static bool is_pressed(const struct websocket *websocket)
{
    return websocket->inflight && worker_pressed(websocket->pull.request->worker);
}

/* A compressed message may expand a thousandfold, in size and in work. So it is read after all
 * other connections had their turn. A message of less than 126 bytes does not expand to much. */
static bool is_for_later(const struct websocket *websocket, struct str bytes)
{
    enum { RSV1 = 0x40, CONTROL = 0x08, LENGTH = 0x7f, LONG = 126 };
    const uint8_t *head = (const uint8_t *)bytes.at;
    return websocket->reader.inflater && !websocket->pull.request->worker->decompresses &&
           bytes.len >= 2 && ws_reader_idle(&websocket->reader) && (head[0] & RSV1) &&
           !(head[0] & CONTROL) && (head[1] & LENGTH) >= LONG;
}

/* Whether the message may be handled now. The JSON of a large one is checked first, in pieces.
 * Until then the reader keeps the message, so it must not be fed. */
static bool is_checked(struct websocket *websocket, struct str text)
{
    struct request_stream *request = websocket->pull.request;
    if (!websocket->ops->json || websocket->close_sent || text.len <= CHECKED_LARGE ||
        !ws_reader_owns(&websocket->reader, text) || !request_stream_take_in(request))
        return true;
    return checked_go_on(request->worker, &request->intake->check, text);
}

static void handle_event(struct websocket *websocket, const struct ws_event *event)
{
    struct request_stream *request = websocket->pull.request;
    if (event->opcode == WS_TEXT && !is_checked(websocket, event->data))
        return;
    on_event(websocket, event);
    if (request->intake)
        checked_end(request->worker, &request->intake->check);
}

static bool is_checking(const struct websocket *websocket)
{
    const struct request_stream *request = websocket->pull.request;
    return request->intake && request->intake->check;
}

/* Continues the check of the last message. */
static void check_on(struct websocket *websocket)
{
    struct worker *worker = websocket->pull.request->worker;
    const struct json_scan *check = websocket->pull.request->intake->check;
    struct ws_event event = {.opcode = WS_TEXT, .data = check->text};
    size_t inflated = ws_reader_inflated(&websocket->reader);
    account_add(&worker->account, ACCOUNT_INFLATED, inflated);
    handle_event(websocket, &event);
    account_sub(&worker->account, ACCOUNT_INFLATED, inflated);
}

/* Reads a message or control frame; returns false if this step must end. */
static bool input_one(struct websocket *websocket, struct str *bytes)
{
    struct worker *worker = websocket->pull.request->worker;
    struct ws_event event = {.data = STR_NONE};
    size_t used = 0;
    if (is_checking(websocket)) {
        check_on(websocket);
        pause_to_send(websocket->pull.request);
        return !worker_is_spent(worker) && !request_stream_is_closed(websocket->pull.request) &&
               !is_pressed(websocket) && !websocket->waits;
    }
    if (!ws_reader_is_inflating(&websocket->reader) && is_for_later(websocket, *bytes)) {
        worker_end_step(worker);
        return false;
    }
    int result =
        ws_reader_feed(&websocket->reader, (char *)(uintptr_t)bytes->at, bytes->len, &used, &event);
    *bytes = str_skip(*bytes, used);
    size_t inflated = ws_reader_inflated(&websocket->reader);
    account_add(&worker->account, ACCOUNT_INFLATED, inflated);
    if (result == WS_EVENT)
        handle_event(websocket, &event);
    else if (result != WS_MORE)
        on_broken(websocket, result);
    account_sub(&worker->account, ACCOUNT_INFLATED, inflated);
    pause_to_send(websocket->pull.request);
    bool inflating = ws_reader_is_inflating(&websocket->reader);
    size_t cost = inflating ? INFLATE_COST : event.data.len > used ? event.data.len : used;
    bool more = worker_spend(worker, cost) && (result == WS_EVENT || inflating);
    return more && !request_stream_is_closed(websocket->pull.request) && !is_pressed(websocket) &&
           !websocket->waits;
}

/* A compressed message that has begun delays others that would begin, see is_for_later(). */
static void count_inflating(struct websocket *websocket, bool inflates)
{
    if (websocket->inflates == inflates)
        return;
    websocket->inflates = inflates;
    websocket->pull.request->worker->inflating += inflates ? 1U : -1U;
}

size_t websocket_held(const struct pull *pull)
{
    return ws_reader_held(&container_of(pull, const struct websocket, pull)->reader);
}

bool websocket_is_busy(const struct pull *pull)
{
    const struct websocket *websocket = container_of(pull, const struct websocket, pull);
    return is_checking(websocket) || ws_reader_is_inflating(&websocket->reader);
}

bool websocket_leaves(const struct pull *pull)
{
    return container_of(pull, const struct websocket, pull)->close_seen;
}

void websocket_refuse_rest(struct pull *pull, enum problem problem)
{
    struct websocket *websocket = of_pull(pull);
    if (pull->request->intake)
        checked_end(pull->request->worker, &pull->request->intake->check);
    ws_reader_give_up(&websocket->reader);
    count_inflating(websocket, false);
    websocket->close_seen = true; /* nothing more is read, so nothing more is waited for */
    if (websocket->close_sent)
        request_stream_close(pull->request);
    else
        websocket_close_problem(websocket, problem);
}

/* An unfinished message has a deadline, like a request. */
static void time_message(struct websocket *websocket)
{
    struct request_stream *request = websocket->pull.request;
    if (ws_reader_idle(&websocket->reader) || websocket->close_sent ||
        request_stream_is_closed(request))
        return;
    struct stream_intake *intake = request_stream_take_in(request);
    if (!intake || intake->begun_ns)
        return;
    intake->begun_ns = request->worker->loop.now_ns;
    set_timer(websocket);
}

size_t websocket_input(struct pull *pull, char *bytes, size_t len)
{
    struct websocket *websocket = of_pull(pull);
    struct request_stream *request = pull->request;
    struct str rest = {bytes, len};
    struct ws_event none;
    size_t used;
    if (len)
        websocket->beats_unanswered = 0;
    while (input_one(websocket, &rest))
        ;
    if (websocket->reader.error)
        rest.len = 0;
    else if (!websocket_is_busy(pull))
        (void)ws_reader_feed(&websocket->reader, NULL, 0, &used, &none); /* lets the event go */
    count_inflating(websocket,
                    websocket_is_busy(pull) && (ws_reader_is_inflating(&websocket->reader) ||
                                                ws_reader_inflated(&websocket->reader)));
    time_message(websocket);
    if (out_is_full(request))
        worker_hit(request->worker, LIMIT_RESTS);
    if (out_is_full(request) || request_stream_lost(request))
        request_stream_close(request);
    return len - rest.len;
}

/* ---- publishes ------------------------------------------------------------------------------- */

/* A WebSocket that only listens goes on being read: it costs the log nothing. */
bool websocket_deaf(struct pull *pull)
{
    struct websocket *websocket = of_pull(pull);
    struct request_stream *request = pull->request;
    if (websocket->waits || websocket->inflight >= request->worker->config.limits.inflight_max)
        return true; /* until one is answered */
    if (!websocket->publishes || !worker_pressed(request->worker))
        return false;
    request_stream_pause(request);
    return true;
}

static struct websocket_publish *oldest(const struct websocket *websocket)
{
    return container_of(websocket->publishes_open.next, struct websocket_publish, node);
}

static int64_t ms_until(const struct websocket *websocket, int64_t ns)
{
    int64_t ms = (ns - websocket->pull.request->worker->loop.now_ns) / 1000000;
    return ms > 0 ? ms : 0;
}

static int64_t deadline_ns(const struct websocket *websocket,
                           const struct websocket_publish *publish)
{
    return publish->since_ns + websocket->pull.request->worker->config.limits.publish_ms * 1000000;
}

/* The deadline of the message being received; INT64_MAX if there is none. */
static int64_t message_ns(const struct websocket *websocket)
{
    const struct request_stream *request = websocket->pull.request;
    int64_t ms = request->worker->config.limits.message_ms;
    if (!request->intake || !request->intake->begun_ns)
        return INT64_MAX;
    return request_stream_begun_ns(request) + ms * 1000000;
}

/* Sets the timer, which serves heartbeats, the current message, and publishes without a verdict. */
static void set_timer(struct websocket *websocket)
{
    int64_t next_ns = message_ns(websocket);
    int64_t ms = ms_until(websocket, websocket->beat_ns < next_ns ? websocket->beat_ns : next_ns);
    if (!list_empty(&websocket->publishes_open)) {
        int64_t left_ms = ms_until(websocket, deadline_ns(websocket, oldest(websocket)));
        ms = left_ms < ms ? left_ms : ms;
    }
    if (!websocket->close_sent)
        request_stream_ring_in(websocket->pull.request, ms);
}

static void add_publish(struct websocket *websocket, struct websocket_publish *publish)
{
    bool first = list_empty(&websocket->publishes_open);
    publish->websocket = websocket;
    publish->since_ns = websocket->pull.request->worker->loop.now_ns;
    list_add_last(&websocket->publishes_open, &publish->node);
    if (++websocket->inflight == websocket->pull.request->worker->config.limits.inflight_max)
        worker_hit(websocket->pull.request->worker, LIMIT_INFLIGHT);
    websocket->publishes = true;
    if (first)
        set_timer(websocket);
}

bool websocket_submit(struct websocket *websocket, struct proposal *proposal,
                      struct websocket_publish *publish, struct refusal *ret_refusal)
{
    struct request_stream *request = websocket->pull.request;
    struct worker *worker = request->worker;
    const struct conn *conn = request_stream_conn(request);
    struct access access = permits_access(websocket);
    struct publisher publisher = {.access = access,
                                  .keyspace = caller_name(access.caller),
                                  .conn = conn,
                                  .request = request_stream_id(request)};
    proposal->accepted_ns = worker->loop.now_ns;
    if (!publish)
        return refusal_no_memory(ret_refusal);
    if (!submit_proposal(&worker->submitter, &publisher, proposal, &publish->publish, ret_refusal))
        return false;
    add_publish(websocket, publish);
    return true;
}

static void forget_publish(struct websocket *websocket, struct websocket_publish *publish)
{
    list_remove(&publish->node);
    publish->websocket = NULL;
    if (websocket->inflight-- == websocket->pull.request->worker->config.limits.inflight_max)
        request_stream_wake(websocket->pull.request);
    if (websocket->close_due)
        request_stream_dirty(websocket->pull.request);
}

bool websocket_end_publish(struct websocket_publish *publish)
{
    struct websocket *websocket = publish->websocket;
    if (!websocket)
        return false;
    forget_publish(websocket, publish);
    publish->websocket = websocket;
    return true;
}

/* Gives up publishes that are not safe in time: their fate is unknown. */
static void give_up_late(struct websocket *websocket)
{
    int64_t now_ns = websocket->pull.request->worker->loop.now_ns;
    while (!list_empty(&websocket->publishes_open)) {
        struct websocket_publish *publish = oldest(websocket);
        if (deadline_ns(websocket, publish) > now_ns)
            break;
        forget_publish(websocket, publish);
        if (websocket->ops->lost)
            websocket->ops->lost(websocket, publish);
    }
}

/* ---- pull operations ------------------------------------------------------------------------- */

struct str websocket_fill(struct websocket *websocket)
{
    struct request_stream *request = websocket->pull.request;
    bool is_due = websocket->close_due && !websocket->inflight && !websocket->close_sent;
    if (is_due && request_stream_is_clear(request))
        websocket_close(websocket, websocket->close_code, STR_NONE);
    return request_stream_unsent(request);
}

static void beat_later(struct websocket *websocket)
{
    websocket->beat_ns =
        websocket->pull.request->worker->loop.now_ns + websocket->beat_s * INT64_C(1000000000);
}

/* Closes if the peer answered neither of the last two beats: a program may be gone while its kernel
 * still acknowledges. Unread bytes may be its answer, so look at them first. */
static bool close_silent(struct websocket *websocket)
{
    struct request_stream *request = websocket->pull.request;
    if (websocket->beats_unanswered < 2 || request_stream_conn(request)->readable)
        return request_stream_close_deserted(request, websocket->beat_s);
    worker_hit(request->worker, LIMIT_GONE);
    request_stream_close(request);
    return true;
}

/* A peer with bytes to read needs no heartbeat. */
static void beat(struct websocket *websocket)
{
    struct request_stream *request = websocket->pull.request;
    if (close_silent(websocket))
        return;
    if (request_stream_is_clear(request) && request_stream_conn(request)->writable) {
        websocket->ops->beat(websocket);
        if (!request_stream_is_clear(request)) /* the beat was sent */
            websocket->beats_unanswered++;
        request_stream_dirty(request);
    }
    beat_later(websocket);
}

/* Ends the connection if a message was not complete in time, unless it was we who did not read. */
static bool refuse_late_message(struct websocket *websocket)
{
    struct request_stream *request = websocket->pull.request;
    struct worker *worker = request->worker;
    if (message_ns(websocket) > worker->loop.now_ns)
        return false;
    request->intake->begun_ns = worker->loop.now_ns;
    if (websocket->inflight >= worker->config.limits.inflight_max || worker_pressed(worker))
        return false;
    websocket_refuse_rest(&websocket->pull, PROBLEM_TIMEOUT);
    request_stream_count_intake(request);
    return true;
}

void websocket_ring(struct pull *pull)
{
    struct websocket *websocket = of_pull(pull);
    if (websocket->close_sent) {
        worker_hit(pull->request->worker, LIMIT_CLOSE); /* the peer did not answer our close */
        request_stream_close(pull->request);
        return;
    }
    if (refuse_late_message(websocket))
        return;
    give_up_late(websocket);
    if (!ms_until(websocket, websocket->beat_ns))
        beat(websocket);
    if (!request_stream_is_closed(pull->request))
        set_timer(websocket);
}

void websocket_goodbye(struct pull *pull, enum ending why)
{
    struct websocket *websocket = of_pull(pull);
    if (why != ENDING_DRAIN) {
        websocket_refuse_rest(pull, ending_problem(why));
        return;
    }
    if (websocket->close_sent) {
        request_stream_close(pull->request);
        return;
    }
    websocket->close_code = WS_CLOSE_RESTART;
    websocket->close_due = websocket->inflight > 0; /* publishes are answered first */
    request_stream_dirty(pull->request);
    if (websocket->close_due)
        set_timer(websocket);
    else
        websocket_close(websocket, WS_CLOSE_RESTART, STR("the server restarts: come back"));
}

void websocket_deinit(struct websocket *websocket)
{
    struct request_stream *request = websocket->pull.request;
    if (request) { /* was opened, perhaps only to be refused */
        permits_end(websocket);
        live_remove(request->worker, &websocket->pull);
    }
    for (struct list *node; (node = list_take_first(&websocket->publishes_open));)
        container_of(node, struct websocket_publish, node)->websocket = NULL;
    ws_reader_deinit(&websocket->reader);
    count_inflating(websocket, false);
}

/* ---- the handshake --------------------------------------------------------------------------- */

/* Joins all values of a header into a list. */
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

/* The problem with a handshake; PROBLEM_COUNT if there is none. */
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
    if (!exchange->is_tunnel && (keys != 1 || !ws_key_valid(key))) {
        *ret_detail = STR("Sec-WebSocket-Key must be there once, 16 bytes in base64");
        return PROBLEM_BAD_HANDSHAKE;
    }
    return PROBLEM_COUNT;
}

/* HTTP/2 opens the tunnel by itself, and proves nothing by a key (RFC 8441 section 5). */
static void add_upgrade(struct response *response, const struct http_head *head)
{
    char accept[WS_ACCEPT_LEN];
    if (ws_accept_key(http_header(head, STR("sec-websocket-key")), accept))
        response_fail(response);
    response_add(response, STR("Upgrade"), STR("websocket"));
    response_add(response, STR("Connection"), STR("Upgrade"));
    buf_add(response_compose(response, STR("Sec-WebSocket-Accept")), accept, sizeof(accept));
}

static void make_head(struct response *response, const struct exchange *exchange,
                      struct str protocol, const uint64_t *cursor,
                      const struct ws_deflate_params *deflate)
{
    response_init(response, exchange->is_tunnel ? 200 : 101);
    response->goes_on = exchange->is_tunnel;
    if (!exchange->is_tunnel)
        add_upgrade(response, exchange->head);
    if (protocol.len)
        response_add(response, STR("Sec-WebSocket-Protocol"), protocol);
    if (cursor)
        buf_add_id(response_compose(response, STR("Cursor")), *cursor);
    if (deflate->enabled)
        ws_add_deflate_answer(response_compose(response, STR("Sec-WebSocket-Extensions")), deflate);
}

/* Keeps what the operator's server will be asked by. A credential that only that server knows must
 * be shown to it for each message: without evidence the messages would have the rights of anybody.
 * So such a handshake is refused then. */
static enum problem keep_evidence(struct exchange *exchange, const struct websocket *websocket,
                                  struct evidence **ret, struct str *ret_detail)
{
    const struct worker_config *config = &exchange->worker->config;
    *ret = websocket->ops->asks && exchange->may_ask ? config->show(exchange) : NULL;
    if (*ret || !websocket->ops->asks || !exchange->is_opaque)
        return PROBLEM_COUNT;
    *ret_detail = STR("the operator's server cannot be asked about this WebSocket now: try again");
    return PROBLEM_UNAVAILABLE;
}

bool websocket_open(struct exchange *exchange, struct websocket *websocket, struct str protocol,
                    const uint64_t *cursor)
{
    struct worker *worker = exchange->worker;
    struct ws_deflate_params deflate;
    struct response response;
    struct str detail;
    struct evidence *evidence = NULL;
    bool is_opaque = exchange->is_opaque;
    websocket->browser = exchange->browser;
    list_init(&websocket->publishes_open);
    enum problem problem = check(exchange, &detail);
    if (problem == PROBLEM_COUNT && negotiate(exchange->head, &deflate)) {
        problem = PROBLEM_BAD_HANDSHAKE;
        detail = STR("Sec-WebSocket-Extensions is not a list of extensions");
    }
    if (problem == PROBLEM_COUNT)
        problem = keep_evidence(exchange, websocket, &evidence, &detail);
    if (problem != PROBLEM_COUNT) {
        websocket->pull.ops->free(&websocket->pull);
        exchange_problem(exchange, problem, detail, STR_NONE);
        return false;
    }
    websocket->window_bits = deflate.enabled ? deflate.server_max_window_bits : 0;
    ws_reader_init(&websocket->reader, WS_SERVER, &worker->config.limits.ws,
                   deflate.enabled ? &worker->inflater : NULL);
    make_head(&response, exchange, protocol, cursor, &deflate);
    if (!exchange_pull(exchange, &response, &websocket->pull)) {
        evidence_free(evidence);
        return false;
    }
    bool is_kept = permits_begin(websocket, evidence);
    beat_later(websocket);
    set_timer(websocket);
    if (!is_kept && is_opaque)
        websocket_close_problem(websocket, PROBLEM_UNAVAILABLE);
    return true;
}

/* ---- refusing -------------------------------------------------------------------------------- */

static void refused_message(struct websocket *websocket, enum ws_opcode opcode, struct str data)
{
    (void)websocket;
    (void)opcode;
    (void)data;
}

static void refused_beat(struct websocket *websocket)
{
    (void)websocket;
}

static struct str refused_fill(struct pull *pull)
{
    return websocket_fill(of_pull(pull));
}

static bool refused_sent(struct pull *pull, size_t n, bool blocked)
{
    (void)n;
    (void)blocked;
    return websocket_sent(of_pull(pull), true);
}

static void refused_free(struct pull *pull)
{
    websocket_deinit(of_pull(pull));
    free(of_pull(pull));
}

static const struct websocket_ops refused_ops = {.message = refused_message, .beat = refused_beat};
static const struct pull_ops refused_pull = {
    WEBSOCKET_PULL,       .fill = refused_fill, .sent = refused_sent, .goodbye = websocket_goodbye,
    .free = refused_free,
};

static struct str first_protocol(const struct http_head *head)
{
    struct str list, name;
    for (size_t pos = 0; http_header_next(head, STR("sec-websocket-protocol"), &pos, &list);)
        while (http_list_next(&list, &name))
            if (!str_starts(name, WEBSOCKET_TOKEN))
                return name;
    return STR_NONE;
}

/* Opens a WebSocket in order to close it with a code. A browser shows the code only if one of its
 * subprotocols was chosen. NULL: the exchange was answered otherwise. */
static struct websocket *open_refused(struct exchange *exchange)
{
    struct websocket *websocket = mem_try_alloc(sizeof(*websocket));
    if (!websocket) {
        exchange_problem(exchange, PROBLEM_UNAVAILABLE, STR("no memory: try again"), STR_NONE);
        return NULL;
    }
    *websocket =
        (struct websocket){.pull = {.ops = &refused_pull}, .ops = &refused_ops, .beat_s = 60};
    struct str protocol = exchange->browser ? first_protocol(exchange->head) : STR_NONE;
    return websocket_open(exchange, websocket, protocol, NULL) ? websocket : NULL;
}

void websocket_refuse(struct exchange *exchange, enum problem problem, struct str detail)
{
    if (!exchange->browser) {
        exchange_problem(exchange, problem, detail, STR_NONE);
        return;
    }
    audit_note_exchange(exchange, problem, detail, STR_NONE);
    struct websocket *websocket = open_refused(exchange);
    if (websocket)
        websocket_close_problem(websocket, problem);
}

void websocket_refuse_protocols(struct exchange *exchange, struct str reason)
{
    stat_add(&exchange->worker->stats.problems[PROBLEM_BAD_HANDSHAKE], 1);
    struct websocket *websocket = open_refused(exchange);
    if (websocket)
        websocket_close(websocket, problem_close_code(PROBLEM_BAD_HANDSHAKE), reason);
}
