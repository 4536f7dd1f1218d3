/* For tests only: handlers of the API over a request stream that notes the response, without
 * sockets. A worker, a log in memory and a courier stand behind it; receivers of webhooks answer
 * nothing. */
#pragma once

#include "api/api.h"
#include "transport/worker_testing.h"
#include "webhooks/endpoint/shared.h"
#include "webhooks/turn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>

struct desk {
    struct clock_fake clock;
    struct log *log;
    struct worker worker;
    struct courier *courier;
    struct list calls; /* of struct desk_call: requests to receivers */
    struct api api;
    struct conn conn; /* of the client: without a socket */
    struct request_stream request;
    struct poll_pace pace;
    struct exchange *waits; /* a poll */
    /* The response: */
    unsigned answers;
    int status;
    bool goes_on;      /* a pull writes the body */
    struct buf fields; /* "Name: value\n" for each, Content-Type too */
    struct buf body;
};

static inline struct desk *desk_of(const struct request_stream *request)
{
    return container_of(request, struct desk, request);
}

/* ---- the operations of its request stream ---------------------------------------------------- */

static inline void desk_note(struct desk *desk, const struct response *response)
{
    desk->answers++;
    desk->status = response->status;
    assert_false(response_failed(response));
    for (unsigned i = 0; i < response->count; i++)
        buf_addf(&desk->fields, "%.*s: %.*s\n", STR_FMT(response->fields[i].name),
                 STR_FMT(response_value(response, i)));
    buf_addf(&desk->fields, "Content-Type: %.*s\n", STR_FMT(response->type));
    for (int i = 0; i < RESPONSE_PARTS; i++)
        buf_add_str(&desk->body, response->body[i]);
    assert_true(!response->bodiless || !desk->body.len);
}

static inline void desk_respond(struct exchange *exchange, const struct response *response,
                                const struct page_key *key)
{
    (void)key;
    desk_note(desk_of(exchange->request), response);
    exchange_free(exchange);
}

static inline bool desk_open(struct exchange *exchange, const struct response *response,
                             struct pull *pull)
{
    struct request_stream *request = exchange->request;
    desk_note(desk_of(request), response);
    desk_of(request)->goes_on = true;
    exchange_free(exchange);
    request->pull = pull;
    pull->request = request;
    return true;
}

static inline void desk_free_exchange(struct exchange *exchange)
{
    holding_set(&exchange->worker->holdings, &exchange->holding, ACCOUNT_ANSWERS, 0);
    free(exchange);
}

static inline void desk_wait(struct exchange *exchange)
{
    desk_of(exchange->request)->waits = exchange;
}

static inline void desk_end_wait(struct exchange *exchange)
{
    desk_of(exchange->request)->waits = NULL;
    timer_stop(&exchange->request->timer);
}

static inline void desk_ignore(struct request_stream *request)
{
    (void)request;
}

static inline void desk_dirty(struct request_stream *request)
{
    conn_dirty(&desk_of(request)->conn);
}

static inline void desk_woken(struct request_stream *request, bool behind)
{
    (void)behind;
    desk_dirty(request);
}

static inline void desk_behind(struct request_stream *request, bool behind)
{
    (void)request;
    (void)behind;
}

static inline enum request_stream_state desk_state(const struct request_stream *request)
{
    (void)request;
    return REQUEST_OPEN;
}

static inline struct conn *desk_conn(const struct request_stream *request)
{
    return &desk_of(request)->conn;
}

static inline uint32_t desk_id(const struct request_stream *request)
{
    return desk_of(request)->conn.id;
}

static inline struct poll_pace *desk_pace(const struct request_stream *request)
{
    return &desk_of(request)->pace;
}

static inline void desk_ring_in(struct request_stream *request, int64_t ms)
{
    (void)request;
    (void)ms;
}

static inline struct stream_intake *desk_intake_new(struct request_stream *request)
{
    (void)request;
    return NULL;
}

static inline void desk_shed(struct request_stream *request, struct holding *holding)
{
    (void)request;
    (void)holding;
}

static const struct request_stream_ops desk_ops = {
    .respond = desk_respond,
    .open = desk_open,
    .free_exchange = desk_free_exchange,
    .wait = desk_wait,
    .end_wait = desk_end_wait,
    .dirty = desk_dirty,
    .woken = desk_woken,
    .behind = desk_behind,
    .end = desk_ignore,
    .close = desk_ignore,
    .state = desk_state,
    .conn = desk_conn,
    .id = desk_id,
    .pace = desk_pace,
    .ring_in = desk_ring_in,
    .intake_new = desk_intake_new,
    .resume = desk_ignore,
    .shed = desk_shed,
};

/* A poll looks again in the flush of a turn. */
static inline struct str desk_fill(struct conn *conn)
{
    struct exchange *waits = container_of(conn, struct desk, conn)->waits;
    if (waits)
        waits->waiting->ops->look(waits->waiting);
    return STR_NONE;
}

static const struct conn_ops desk_conn_ops = {.fill = desk_fill};

/* ---- receivers ------------------------------------------------------------------------------- */

struct desk_call {
    struct list node;
    struct call *call;
    struct curl_slist *headers;
};

static inline int desk_call_start(struct client *client, struct call *call,
                                  const struct call_request *request)
{
    struct desk *desk = container_of(client->loop->clock, struct desk, clock.clock);
    struct desk_call *own = mem_alloc(sizeof(*own));
    *own = (struct desk_call){.call = call, .headers = request->headers};
    list_add_last(&desk->calls, &own->node);
    return 0;
}

static inline void desk_call_stop(struct call *call)
{
    struct desk *desk = container_of(call->client->loop->clock, struct desk, clock.clock);
    list_each (&desk->calls, node) {
        struct desk_call *own = container_of(node, struct desk_call, node);
        if (own->call != call)
            continue;
        list_remove(node);
        curl_slist_free_all(own->headers);
        free(own);
        return;
    }
}

static inline void desk_open_courier(struct desk *desk)
{
    static const struct client_ops ops = {desk_call_start, desk_call_stop};
    struct courier_config config = {.log = desk->log,
                                    .clock = &desk->clock.clock,
                                    .hub = worker_testing_limits().hub,
                                    .allow_loopback = true,
                                    .base = STR(""),
                                    .endpoints_max = 2};
    list_init(&desk->calls);
    assert_int_equal(courier_open(&config, &desk->courier), 0);
    desk->courier->client.ops = &ops;
}

/* Requests under way are broken off. */
static inline void desk_end_courier(struct desk *desk)
{
    courier_begin_stop(desk->courier);
    while (!courier_is_done(desk->courier))
        clock_fake_advance(&desk->clock, 1000000);
    courier_end(desk->courier);
    assert_true(list_empty(&desk->calls));
}

/* ---- what tests do --------------------------------------------------------------------------- */

static inline struct desk *desk_new(void)
{
    struct desk *desk = mem_alloc(sizeof(*desk));
    struct worker_config config = {.limits = worker_testing_limits(),
                                   .app = &desk->api,
                                   .handle = api_handle,
                                   .admits = api_admits};
    worker_testing_begin(&desk->worker, &desk->log, &desk->clock, &config);
    desk_open_courier(desk);
    desk->api = (struct api){.log = desk->log,
                             .courier = desk->courier,
                             .workers = &desk->worker,
                             .workers_count = 1,
                             .clock = &desk->clock.clock,
                             .base = STR(""),
                             .batch_max = 10};
    desk->conn = (struct conn){
        .ops = &desk_conn_ops, .net = &desk->worker.net, .fd = -1, .id = 7, .writable = true};
    desk->request = (struct request_stream){.ops = &desk_ops, .worker = &desk->worker};
    return desk;
}

/* Forgets the response, and ends what goes on. */
static inline void desk_clear(struct desk *desk)
{
    struct request_stream *request = &desk->request;
    timer_stop(&request->timer);
    if (desk->waits) {
        desk->waits->request = NULL;
        desk->waits->waiting->ops->drop(desk->waits->waiting);
    }
    if (request->pull)
        request->pull->ops->free(request->pull);
    desk->waits = NULL;
    request->pull = NULL;
    request_stream_drop_out(request);
    buf_free(&desk->fields);
    buf_free(&desk->body);
    desk->answers = 0;
    desk->status = 0;
    desk->goes_on = false;
    list_remove(&desk->conn.dirty);
}

static inline void desk_free(struct desk *desk)
{
    desk_clear(desk);
    worker_step(&desk->worker, 0); /* gives the log what the last request has left */
    desk_end_courier(desk);
    log_close(desk->log);
    worker_deinit(&desk->worker);
    courier_free(desk->courier);
    free(desk);
}

/* Whether a poll is all that is left, and nothing is read for it. */
static inline bool desk_is_at_rest(const struct desk *desk)
{
    return desk->answers || (desk->waits && asker_is_idle(&desk->worker.asker) &&
                             !hub_is_busy(&desk->worker.hub) && !net_is_dirty(&desk->worker.net));
}

/* Lets the server work until there is a response, or a poll that waits for events. */
static inline void desk_settle(struct desk *desk)
{
    for (int i = 0; i < 1000 && !desk_is_at_rest(desk); i++) {
        courier_turn(desk->courier, 0);
        worker_step(&desk->worker, 1);
    }
    assert_true(desk_is_at_rest(desk));
}

/* Copies a string of the answer, such as the id of what was made. */
static inline void desk_told(const struct desk *desk, const char *member, char out[64])
{
    json_t *answer = json_loadb(desk->body.at, desk->body.len, 0, NULL);
    const char *text = json_string_value(json_object_get(answer, member));
    assert_non_null(text);
    snprintf(out, 64, "%s", text);
    json_decref(answer);
}

/* Asks, with more header lines if `lines` is not "". */
static inline void desk_begin_ask(struct desk *desk, const char *request, const char *lines,
                                  struct str body)
{
    static const struct http_limits limits = HTTP_LIMITS_DEFAULT;
    struct worker *worker = &desk->worker;
    struct http_scan scan = {0};
    struct buf text = {0};
    desk_clear(desk);
    buf_addf(&text, "%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", request, lines);
    assert_int_equal(http_head_parse(buf_str(&text), &limits, &scan, &worker->memo.head), 0);
    struct str origin = http_header(&worker->memo.head, STR("origin"));
    struct exchange *exchange = mem_alloc(sizeof(*exchange) + origin.len);
    if (origin.len) /* for answers that come when the text is gone */
        origin.at = memcpy(exchange + 1, origin.at, origin.len);
    *exchange = (struct exchange){.request = &desk->request,
                                  .ops = &desk_ops,
                                  .worker = worker,
                                  .holding = {.request = &desk->request},
                                  .is_head = worker->memo.head.method == HTTP_HEAD,
                                  .browser = origin.at != NULL,
                                  .head = &worker->memo.head,
                                  .origin = origin};
    worker->head_bytes = STR_NONE;
    worker->body = worker->received = body;
    exchange_handle(exchange);
    buf_free(&text);
}

/* The same, and waits for the response. */
static inline void desk_ask(struct desk *desk, const char *request, const char *lines,
                            struct str body)
{
    desk_begin_ask(desk, request, lines, body);
    desk_settle(desk);
}

static inline bool desk_says(const struct buf *buf, const char *text)
{
    return buf->len && memmem(buf->at, buf->len, text, strlen(text));
}

#define assert_answer(desk, status_, text)                                                         \
    do {                                                                                           \
        assert_int_equal((desk)->status, status_);                                                 \
        assert_true(desk_says(&(desk)->body, text));                                               \
    } while (0)
#define assert_field(desk, text) assert_true(desk_says(&(desk)->fields, text "\n"))
#define assert_no_field(desk, text) assert_false(desk_says(&(desk)->fields, text))

static inline int desk_begin(void **state)
{
    *state = desk_new();
    return 0;
}

static inline int desk_end(void **state)
{
    desk_free(*state);
    return 0;
}

#define WITH_DESK(test) cmocka_unit_test_setup_teardown(test, desk_begin, desk_end)
