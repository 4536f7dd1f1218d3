/* For tests only: a worker that is driven turn by turn in the test's own thread, over socket pairs
 * instead of TCP, with a log in memory and a clock that the test turns. */
#pragma once

#include "transport/accept.h"
#include "transport/page.h"
#include "transport/freshet_v1.h"
#include "transport/http1_state.h"
#include "transport/parked.h"
#include "transport/stream.h"
#include "transport/worker_testing.h"

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { BENCH_PARKED_MAX = 32, BENCH_STEPS = 12, BENCH_SMALL_BUFFER = 4608, BENCH_TERMS_MAX = 4 };

struct bench {
    struct clock_fake clock; /* the worker's; the log has the system's */
    struct log *log;
    struct worker worker;
    struct worker_limits limits;
    struct exchange *parked[BENCH_PARKED_MAX]; /* requests to /park, which the test answers */
    unsigned parked_count;
    unsigned handled;       /* requests so far, without those that were known */
    unsigned known;         /* and those that were */
    bool refuses_known;     /* with 403 */
    struct reading reading; /* the reading of a request: the test sets the fields that it wants */
    const char *pattern;    /* and of which channels, separated by spaces: "a" without it */
    const char *type;       /* and of which type: all without it */
    struct append *kept;    /* publishes that the log has not seen yet */
    unsigned published;     /* publishes that have no verdict yet */
};

/* The other end of a connection. */
struct peer {
    int fd;
    struct buf got;
    bool ended; /* the server's side is shut or closed */
};

/* ---- the server's handlers ------------------------------------------------------------------- */

static inline struct bench *bench_of(const struct exchange *exchange)
{
    return exchange->worker->config.app;
}

static inline void bench_published(struct publish *publish, struct batch *batch)
{
    struct exchange *exchange = container_of(publish, struct exchange, publish);
    (void)batch;
    bench_of(exchange)->published--;
    if (exchange->dropped)
        exchange_free(exchange);
    else
        exchange_json(exchange, publish->verdict ? 503 : 201, STR("{}\n"));
}

/* Publishes the body on channel "a". */
static inline void bench_publish(struct exchange *exchange)
{
    struct publisher publisher = {.conn = request_stream_conn(exchange->request),
                                  .access = exchange_access(exchange)};
    struct proposal proposal = {.channel = STR("a"),
                                .type = TYPE_DEFAULT,
                                .data = exchange_input(exchange),
                                .kind = EVENT_TEXT};
    struct refusal refusal;
    exchange->publish.done = bench_published;
    if (submit_proposal(&exchange->worker->submitter, &publisher, &proposal, &exchange->publish,
                        &refusal))
        bench_of(exchange)->published++;
    else
        exchange_problem(exchange, refusal.problem, str_from(refusal.detail), STR_NONE);
}

static inline struct reading *bench_reading(struct bench *bench)
{
    struct reading *reading = reading_new();
    struct str names[BENCH_TERMS_MAX], rest = str_from(bench->pattern ? bench->pattern : "a");
    size_t count = 0;
    while (rest.at && count < BENCH_TERMS_MAX)
        names[count++] = str_cut(&rest, ' ');
    if (!reading)
        return NULL;
    *reading = bench->reading;
    reading->channel = names[0];
    reading->kept = STR("");
    struct str type = bench->type ? str_from(bench->type) : STR_NONE;
    reading->selection = selection_new(names, count, &type, bench->type != NULL, NULL);
    if (reading->selection)
        return reading;
    reading_free(reading);
    return NULL;
}

static inline void bench_read(struct exchange *exchange, struct str path)
{
    struct reading *reading = bench_reading(bench_of(exchange));
    if (!reading)
        exchange_problem(exchange, PROBLEM_UNAVAILABLE, STR("no memory"), STR_NONE);
    else if (str_eq(path, STR("/stream")))
        stream_begin(exchange, reading);
    else if (str_eq(path, STR("/socket")))
        channel_websocket_begin(exchange, reading);
    else {
        if (str_eq(path, STR("/poll")))
            request_cache_keep(&exchange->worker->request_cache, exchange, reading);
        page_begin(exchange, reading);
    }
}

static inline void bench_handle_known(struct exchange *exchange)
{
    struct bench *bench = bench_of(exchange);
    bench->known++;
    if (bench->refuses_known)
        exchange_problem(exchange, PROBLEM_FORBIDDEN_HOST, STR("not any more"), STR_NONE);
    else
        page_begin(exchange, reading_share(exchange->worker->known));
}

/* /park and /wait wait for the test, the latter with copies of the request, /publish publishes,
 * /echo says its body, /v1 speaks freshet.v1; /stream, /page and /socket read what bench->reading
 * says; /poll is a page whose request is kept.
 */
static inline void bench_handle(struct exchange *exchange)
{
    struct bench *bench = bench_of(exchange);
    struct str path = exchange->head->path;
    if (exchange->worker->known) {
        bench_handle_known(exchange);
        return;
    }
    bench->handled++;
    bool waits = str_eq(path, STR("/wait"));
    if (waits || str_eq(path, STR("/park"))) {
        exchange->publish.count = exchange->head->method == HTTP_POST;
        assert_true(!waits || exchange_park(exchange));
        bench->parked[bench->parked_count++ % BENCH_PARKED_MAX] = exchange;
    } else if (str_eq(path, STR("/publish"))) {
        bench_publish(exchange);
    } else if (str_eq(path, STR("/echo"))) {
        struct response response;
        response_init(&response, 200);
        response.type = STR("text/plain");
        response.body[0] = exchange_input(exchange);
        exchange_respond(exchange, &response);
    } else if (str_eq(path, STR("/v1"))) {
        freshet_v1_begin(exchange, NULL);
    } else {
        bench_read(exchange, path);
    }
}

/* ---- setting up ------------------------------------------------------------------------------ */

/* With the limits as they are in `bench`. */
static inline void bench_begin(struct bench *bench)
{
    struct worker_config config = {
        .limits = bench->limits, .refusing_max = 64, .app = bench, .handle = bench_handle};
    worker_testing_begin(&bench->worker, &bench->log, &bench->clock, &config);
}

static inline struct bench *bench_new(void)
{
    struct bench *bench = mem_alloc(sizeof(*bench));
    bench->limits = worker_testing_limits();
    bench->reading = (struct reading){.format = FORMAT_NDJSON, .limit = 100, .beat_s = 25};
    bench->reading.from.kind = POSITION_EARLIEST;
    return bench;
}

/* Ends like a worker's thread, its log and its connections do. */
static inline void bench_free(struct bench *bench)
{
    list_each (&bench->worker.connections, node)
        conn_close(container_of(node, struct conn, node));
    while (net_bury(&bench->worker.net))
        ;
    static const enum account_kind kinds[] = {ACCOUNT_INTAKE, ACCOUNT_INFLATED, ACCOUNT_ANSWERS,
                                              ACCOUNT_RESTS, ACCOUNT_HTTP2};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        assert_int_equal(account_held(&bench->worker.account, kinds[i]), 0);
    log_close(bench->log);
    worker_deinit(&bench->worker);
    free(bench);
}

static inline uint64_t bench_rests(const struct bench *bench)
{
    return account_held(&bench->worker.account, ACCOUNT_RESTS);
}

/* ---- turning --------------------------------------------------------------------------------- */

/* Keeps the log's only reader busy, so that later questions wait. */
struct hold {
    struct question question;
    sem_t go;
};

static inline bool hold_slice(struct question *question, struct log *log)
{
    (void)log;
    sem_wait(&container_of(question, struct hold, question)->go);
    return true;
}

static inline void hold_answered(struct question *question)
{
    question_end(question);
    sem_destroy(&container_of(question, struct hold, question)->go);
}

static inline void hold_reader(struct bench *bench, struct hold *hold)
{
    static const struct question_ops hold_ops = {.slice = hold_slice, .answered = hold_answered};
    sem_init(&hold->go, 0, 0);
    question_init(&hold->question, &bench->worker.asker, &hold_ops);
    question_ask(&hold->question);
}

/* Whether other threads are about to bring something: reads of the store, or the log's mail. */
static inline bool bench_awaits(const struct bench *bench)
{
    return !asker_is_idle(&bench->worker.asker) || hub_is_busy(&bench->worker.hub) ||
           (bench->published && !bench->kept);
}

/* Turns until nothing moves any more. */
static inline void bench_settle(struct bench *bench)
{
    for (int i = 0; i < BENCH_STEPS || bench_awaits(bench); i++)
        worker_step(&bench->worker, bench_awaits(bench) ? 10 : 0);
}

/* Lets time pass, a tick of the wheel more than asked for, since timers ring up to a tick late. */
static inline void bench_pass(struct bench *bench, int64_t ms)
{
    clock_fake_advance(&bench->clock, (ms + 2L * WHEEL_TICK_MS) * 1000);
    bench_settle(bench);
}

static inline int64_t bench_hurried_ns(struct clock *clock)
{
    struct clock_fake *fake = container_of(clock, struct clock_fake, clock);
    clock_fake_advance(fake, 1000);
    return fake->monotonic_ns;
}

/* Lets a millisecond pass whenever the clock is read, so that a budget of time lasts for one step.
 */
static inline void bench_hurry(struct bench *bench)
{
    bench->clock.clock.monotonic_ns = bench_hurried_ns;
}

static inline void bench_rest(struct bench *bench)
{
    struct clock_fake usual;
    clock_fake_init(&usual, 0);
    bench->clock.clock.monotonic_ns = usual.clock.monotonic_ns;
}

/* Reads input, and keeps the resulting publishes from the log. */
static inline void bench_settle_without_log(struct bench *bench)
{
    loop_turn(&bench->worker.loop, 0);
    assert_null(bench->kept);
    bench->kept = bench->worker.submitter.turn;
    bench->worker.submitter.turn = NULL;
    bench_settle(bench);
}

static inline void bench_give_to_log(struct bench *bench)
{
    bench->worker.submitter.turn = bench->kept;
    bench->kept = NULL;
    bench_settle(bench);
}

/* Makes the log lag by so many bytes: publishers must wait. */
static inline void bench_press(struct bench *bench, uint64_t bytes)
{
    atomic_store(&bench->worker.hub.port.backlog, bytes);
}

struct bench_publish {
    struct publish publish;
    struct bench *bench;
};

static inline void bench_appended(struct publish *publish, struct batch *batch)
{
    (void)batch;
    assert_int_equal(publish->verdict, PUBLISH_OK);
    container_of(publish, struct bench_publish, publish)->bench->published--;
}

/* Publishes on channel "a" without a connection. */
static inline void bench_append_as(struct bench *bench, struct str data, enum event_state state)
{
    struct append *append = append_new(bench->log, &bench->worker.hub.port);
    assert_non_null(append);
    struct event *event = batch_add(append->batch);
    assert_non_null(event);
    event->channel = STR("a");
    event->type = STR("message");
    event->data = batch_copy(append->batch, data);
    event->kind = EVENT_TEXT;
    event->accepted_ns = clock_now_ns(&bench->clock.clock);
    event->state = (uint8_t)state;
    struct bench_publish *publish = arena_alloc(&append->batch->arena, sizeof(*publish));
    assert_non_null(publish);
    *publish = (struct bench_publish){{.count = 1, .done = bench_appended}, bench};
    bench->published++;
    append_add(append, &publish->publish);
    if (state == EVENT_EPHEMERAL)
        log_broadcast(bench->log, append);
    else
        log_append(bench->log, append);
}

static inline void bench_append(struct bench *bench, struct str data)
{
    bench_append_as(bench, data, EVENT_PROPOSED);
}

/* Deletes the events of channel "a". */
static inline void bench_trim(struct bench *bench)
{
    bench_append_as(bench, STR(""), EVENT_TRIM);
}

/* ---- the drain ------------------------------------------------------------------------------- */

/* Posts the drain's mail in the next turn, before the sockets of that turn are read. */
struct drainer {
    struct watch watch;
    struct bench *bench;
    int fd;
};

static inline void drainer_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    worker_drain(&container_of(watch, struct drainer, watch)->bench->worker);
}

static inline void drainer_begin(struct drainer *drainer, struct bench *bench)
{
    *drainer = (struct drainer){{drainer_ready}, bench, eventfd(1, EFD_CLOEXEC)};
    assert_true(drainer->fd >= 0);
    assert_int_equal(
        loop_watch(&bench->worker.loop, drainer->fd, EPOLLIN | EPOLLET, &drainer->watch), 0);
}

static inline void drainer_end(struct drainer *drainer)
{
    loop_unwatch(&drainer->bench->worker.loop, drainer->fd);
    close(drainer->fd);
}

/* ---- the other end --------------------------------------------------------------------------- */

static inline void peer_join(struct bench *bench, struct peer *peer)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    *peer = (struct peer){.fd = fds[0]};
    accept_connection(&bench->worker, fds[1], 0);
    bench_settle(bench);
}

/* Joins by a connection with a small send buffer. */
static inline void peer_join_narrow(struct bench *bench, struct peer *peer)
{
    int fds[2], size = BENCH_SMALL_BUFFER;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
    *peer = (struct peer){.fd = fds[0]};
    accept_connection(&bench->worker, fds[1], 0);
    bench_settle(bench);
}

static inline void peer_send(struct peer *peer, struct str bytes)
{
    ssize_t n = send(peer->fd, bytes.at, bytes.len, MSG_NOSIGNAL);
    assert_true(n == (ssize_t)bytes.len || errno == EPIPE);
}

/* Sends the bytes and lets the server work. */
static inline void peer_say(struct bench *bench, struct peer *peer, const char *text)
{
    peer_send(peer, str_from(text));
    bench_settle(bench);
}

/* Reads all there is; the server may go on sending meanwhile. */
static inline void peer_hear(struct bench *bench, struct peer *peer)
{
    char room[65536];
    ssize_t n;
    while ((n = recv(peer->fd, room, sizeof(room), 0)) > 0) {
        buf_add(&peer->got, room, (size_t)n);
        bench_settle(bench);
    }
    peer->ended = peer->ended || n == 0 || errno == ECONNRESET;
}

static inline void peer_leave(struct bench *bench, struct peer *peer)
{
    close(peer->fd);
    buf_free(&peer->got);
    bench_settle(bench);
}

static inline bool peer_has(const struct peer *peer, const char *text)
{
    return peer->got.len && memmem(peer->got.at, peer->got.len, text, strlen(text)) != NULL;
}

/* How often the text stands in what came. */
static inline unsigned peer_count(const struct peer *peer, const char *text)
{
    struct str rest = buf_str(&peer->got);
    unsigned count = 0;
    const char *at;
    while (rest.len && (at = memmem(rest.at, rest.len, text, strlen(text)))) {
        rest = str_skip(rest, (size_t)(at - rest.at) + 1);
        count++;
    }
    return count;
}

/* Whether what came is exactly these answers, by status, "201 408" say, and, with a '.' behind the
 * last, the end of the connection. */
static inline void peer_expect(struct bench *bench, struct peer *peer, const char *statuses)
{
    struct buf seen = {0};
    peer_hear(bench, peer);
    struct str rest = buf_str(&peer->got);
    const char *at;
    while (rest.len && (at = memmem(rest.at, rest.len, "HTTP/1.1 ", 9))) {
        rest = str_skip(rest, (size_t)(at - rest.at) + 9);
        if (rest.len >= 3 && rest.at[0] >= '1' && rest.at[0] <= '5')
            buf_addf(&seen, "%s%.3s", seen.len ? " " : "", rest.at);
    }
    if (peer->ended)
        buf_add_char(&seen, '.');
    buf_add(&seen, "", 1);
    assert_string_equal(seen.at, statuses);
    buf_free(&seen);
}

/* ---- WebSocket ------------------------------------------------------------------------------- */

#define PEER_UPGRADE(path)                                                                         \
    "GET " path " HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"            \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

/* Allocates by malloc(), so that allocations that fail for the server do not fail for its peer. */
static inline void peer_frame(struct bench *bench, struct peer *peer, enum ws_opcode opcode,
                              struct str payload)
{
    static const uint8_t mask[4] = {1, 2, 3, 4};
    uint8_t head[WS_HEAD_MAX];
    size_t size = ws_frame_head(head, true, false, opcode, payload.len, mask);
    char *frame = malloc(size + payload.len);
    assert_non_null(frame);
    memcpy(frame, head, size);
    memcpy(frame + size, payload.at, payload.len);
    ws_mask(frame + size, payload.len, mask);
    peer_send(peer, (struct str){frame, size + payload.len});
    free(frame);
    if (bench)
        bench_settle(bench);
}

static inline void peer_text(struct bench *bench, struct peer *peer, const char *text)
{
    peer_frame(bench, peer, WS_TEXT, str_from(text));
}

/* Opens a WebSocket, reads the 101 and forgets it. */
static inline void peer_upgrade(struct bench *bench, struct peer *peer, const char *request)
{
    peer_say(bench, peer, request);
    peer_hear(bench, peer);
    const char *end = peer->got.len ? memmem(peer->got.at, peer->got.len, "\r\n\r\n", 4) : NULL;
    assert_non_null(end);
    assert_true(peer_has(peer, "HTTP/1.1 101"));
    buf_drop(&peer->got, (size_t)(end + 4 - peer->got.at));
}

/* The close code that came, or 0. Frames are short enough for two bytes of length at most. */
static inline unsigned peer_close_code(struct bench *bench, struct peer *peer)
{
    static const struct ws_limits limits = {1 << 20, 1 << 20, 0};
    struct ws_reader reader;
    struct ws_event event;
    struct buf copy = {0};
    size_t used = 0, at = 0;
    unsigned code = 0;
    peer_hear(bench, peer);
    buf_add_str(&copy, buf_str(&peer->got));
    ws_reader_init(&reader, WS_CLIENT, &limits, NULL);
    while (at < copy.len &&
           ws_reader_feed(&reader, copy.at + at, copy.len - at, &used, &event) == WS_EVENT) {
        at += used;
        if (event.opcode == WS_CLOSE)
            code = event.close_code;
    }
    ws_reader_deinit(&reader);
    buf_free(&copy);
    return code;
}
