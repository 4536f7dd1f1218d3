/* For tests: a courier that the test turns itself, on a clock that it moves, with a receiver that
 * it plays.
 *
 * Nothing waits for real time to pass. The saver works within the turn. Only the log has threads of
 * its own, and world_settle() waits for them. */
#pragma once

#include "base/folder_testing.h"
#include "base/hash.h"
#include "webhooks/courier.h"
#include "webhooks/endpoint/directory.h"
#include "webhooks/endpoint/lane.h"
#include "webhooks/turn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define WORLD_DIR "/tmp/freshet-courier-XXXXXX"
#define WORLD_URL "http://127.0.0.1:7/hook"

enum {
    WORLD_PATIENCE_MS = 20000, /* virtual: a wait that takes longer has failed */
    WORLD_TICK_MS = WHEEL_TICK_MS,
    WORLD_LONG_MS = 30000,
    WORLD_STRIDE_MS = 500,
    WORLD_STEPS = 3, /* turns after which nothing more comes of itself */
    WORLD_BYTES = 4 << 20,
};

/* A clock that moves when the test says so, both of its times apart, or with each look at it.
 * Threads of the log read it. */
struct world_clock {
    struct clock clock;
    _Atomic int64_t wall_us;
    _Atomic int64_t monotonic_us;
    _Atomic int64_t tick_us; /* by which each look moves both */
};

/* A request that the receiver has got. */
struct received {
    struct list node; /* in world->calls, the oldest first */
    struct call *call;
    struct curl_slist *headers;
    enum call_method method;
    bool is_taken; /* by receive() */
    char *url;
    struct str body;
};

struct world {
    struct world_clock clock;
    struct log *log;
    struct courier *courier;
    struct courier_config config;
    char dir[sizeof(WORLD_DIR)]; /* empty for a world in memory */
    struct mailbox mailbox;      /* the test's own */
    struct log_port port;
    struct courier_request request;
    struct access access; /* the rights of requests; without rules those of the server */
    bool replied;
    struct publish publish;
    uint64_t published;
    bool is_blocked;     /* a test keeps the log's only reader busy: do not wait for it */
    struct list calls;   /* of struct received, not answered yet */
    struct received *at; /* the request that came last; NULL once it is answered or broken off */
    char bytes[WORLD_BYTES]; /* its text, and its parts */
    char *body;
    char id[32]; /* of the endpoint made last */
    char secret[128];
};

/* ---- the clock ------------------------------------------------------------------------------- */

static inline int64_t world_wall_us(struct clock *clock)
{
    return container_of(clock, struct world_clock, clock)->wall_us;
}

static inline int64_t world_monotonic_ns(struct clock *clock)
{
    struct world_clock *own = container_of(clock, struct world_clock, clock);
    own->wall_us += own->tick_us;
    own->monotonic_us += own->tick_us;
    return own->monotonic_us * 1000;
}

/* Moves the two times of the clock. Nothing turns meanwhile. */
static inline void move(struct world *world, int64_t wall_s, int64_t monotonic_s)
{
    world->clock.monotonic_us += monotonic_s * 1000000;
    world->clock.wall_us += wall_s * 1000000;
}

/* ---- turning --------------------------------------------------------------------------------- */

/* Whether the log's threads still have something to bring. */
static inline bool world_awaits(const struct world *world)
{
    return !world->is_blocked && !asker_is_idle(&world->courier->asker);
}

static inline void world_step(struct world *world, int wait_ms)
{
    courier_turn(world->courier, wait_ms);
    mailbox_empty(&world->mailbox);
}

static inline bool world_has_work(const struct world *world)
{
    const struct courier *courier = world->courier;
    return courier->jobs || !list_empty(&courier->ready) || !list_empty(&courier->mail) ||
           !list_empty(&courier->listings);
}

/* Turns until nothing moves any more. Time stands still. */
static inline void world_settle(struct world *world)
{
    for (int i = 0; i < WORLD_STEPS || world_awaits(world) || world_has_work(world); i++)
        world_step(world, world_awaits(world) ? 10 : 0);
}

/* Lets time pass: tick by tick, and long times in longer strides, by which timers ring late. */
static inline void world_pass(struct world *world, int64_t ms)
{
    int64_t stride_ms = ms < WORLD_LONG_MS ? WORLD_TICK_MS : WORLD_STRIDE_MS;
    for (int64_t left = ms; left > 0; left -= stride_ms) {
        int64_t us = (left < stride_ms ? left : stride_ms) * 1000;
        world->clock.monotonic_us += us;
        world->clock.wall_us += us;
        world_settle(world);
    }
}

/* ---- the receiver ---------------------------------------------------------------------------- */

static inline struct world *world_of(struct client *client)
{
    return container_of(client->loop->clock, struct world, clock.clock);
}

static inline int receiver_start(struct client *client, struct call *call,
                                 const struct call_request *request)
{
    struct received *received = calloc(1, sizeof(*received));
    *received = (struct received){.call = call,
                                  .headers = request->headers,
                                  .method = request->method,
                                  .url = strdup(request->url),
                                  .body = request->body};
    list_add_last(&world_of(client)->calls, &received->node);
    return 0;
}

static inline struct received *receiver_find(struct world *world, const struct call *call)
{
    list_each (&world->calls, node) {
        struct received *received = container_of(node, struct received, node);
        if (received->call == call)
            return received;
    }
    return NULL;
}

static inline void receiver_stop(struct call *call)
{
    struct world *world = world_of(call->client);
    struct received *received = receiver_find(world, call);
    if (world->at == received)
        world->at = NULL;
    list_remove(&received->node);
    curl_slist_free_all(received->headers);
    free(received->url);
    free(received);
}

static const struct client_ops receiver_ops = {receiver_start, receiver_stop};

/* Writes the request as it would stand in a connection. */
static inline void receiver_write(struct world *world, const struct received *received)
{
    static const char *const methods[] = {"POST", "OPTIONS", "GET"};
    size_t len = (size_t)snprintf(world->bytes, WORLD_BYTES, "%s %s HTTP/1.1\r\n",
                                  methods[received->method], received->url);
    for (const struct curl_slist *line = received->headers; line; line = line->next)
        len += (size_t)snprintf(world->bytes + len, WORLD_BYTES - len, "%s\r\n", line->data);
    len += (size_t)snprintf(world->bytes + len, WORLD_BYTES - len, "\r\n");
    assert_true(len + received->body.len < WORLD_BYTES);
    world->body = world->bytes + len;
    if (received->body.len)
        memcpy(world->body, received->body.at, received->body.len);
    world->body[received->body.len] = '\0';
}

/* The oldest request that was not taken yet; NULL without one. */
static inline struct received *receiver_next(const struct world *world)
{
    list_each (&world->calls, node) {
        struct received *received = container_of(node, struct received, node);
        if (!received->is_taken)
            return received;
    }
    return NULL;
}

/* Waits for the next request, while others stay as they are. */
static inline void receive(struct world *world)
{
    world_settle(world);
    for (int64_t ms = 0; !receiver_next(world); ms += WORLD_TICK_MS) {
        assert_true(ms < WORLD_PATIENCE_MS);
        world_pass(world, WORLD_TICK_MS);
    }
    world->at = receiver_next(world);
    world->at->is_taken = true;
    receiver_write(world, world->at);
}

static inline void receiver_header(char *out, size_t size, const char *text, const char *name)
{
    const char *at = strcasestr(text, name);
    out[0] = '\0';
    if (!at)
        return;
    at += strlen(name);
    size_t len = strcspn(at, "\r");
    assert_true(len < size);
    memcpy(out, at, len);
    out[len] = '\0';
}

/* Answers a request that was taken with a status line, more headers behind it if there are any. */
static inline void answer_with(struct world *world, struct received *received, const char *status,
                               const char *body)
{
    assert_non_null(received);
    struct call *call = received->call;
    call->status = atoi(status);
    receiver_header(call->retry_after, sizeof(call->retry_after), status, "Retry-After: ");
    receiver_header(call->allowed_origin, sizeof(call->allowed_origin), status,
                    "WebHook-Allowed-Origin: ");
    buf_add_str(&call->response, str_from(body));
    call_end(call);
    world_settle(world);
}

static inline void answer(struct world *world, const char *status)
{
    answer_with(world, world->at, status, "ok");
}

/* The request that was taken last gets no answer. */
static inline void break_off(struct world *world, const char *error)
{
    struct call *call = world->at->call;
    call->error = error;
    call_end(call);
    world_settle(world);
}

static inline void header(const struct world *world, const char *name, char out[256])
{
    char search[64];
    snprintf(search, sizeof(search), "\r\n%s: ", name);
    const char *at = strcasestr(world->bytes, search);
    out[0] = '\0';
    if (at && at < world->body)
        sscanf(at + strlen(search), "%255[^\r]", out);
}

static inline void assert_header(const struct world *world, const char *name, const char *expected)
{
    char value[256];
    header(world, name, value);
    assert_string_equal(value, expected);
}

static inline void assert_body_has(const struct world *world, const char *text)
{
    if (!strstr(world->body, text))
        fail_msg("%s is not in %s", text, world->body);
}

static inline void assert_signed(struct world *world, const char *secret)
{
    char id[256], time[256], signatures[256];
    struct sign_key key;
    struct buf expected = {0};
    header(world, "webhook-id", id);
    header(world, "webhook-timestamp", time);
    header(world, "webhook-signature", signatures);
    assert_int_equal(sign_key_read(str_from(secret), &key), 0);
    sign_add(&expected, &key, str_from(id), strtoll(time, NULL, 10), str_from(world->body));
    buf_add_char(&expected, '\0');
    assert_non_null(strstr(signatures, expected.at));
    buf_free(&expected);
}

static inline void assert_event(struct world *world, uint64_t id)
{
    char expected[32];
    snprintf(expected, sizeof(expected), "%016" PRIu64, id);
    assert_header(world, "webhook-id", expected);
    assert_int_equal(strncmp(world->body, "{\"id\":\"", 7), 0);
    assert_int_equal(strncmp(world->body + 7, expected, 16), 0);
    assert_signed(world, world->secret);
}

static inline void assert_ping(struct world *world)
{
    assert_body_has(world, "\"type\":\"$ping\"");
}

/* ---- requests -------------------------------------------------------------------------------- */

static inline void on_reply(struct mail *mail, void *owner)
{
    (void)mail;
    ((struct world *)owner)->replied = true;
}

static inline void request_clear(struct world *world)
{
    struct courier_request *request = &world->request;
    buf_free(&request->answer);
    buf_free(&request->body);
    buf_free(&request->why);
    buf_free(&request->key);
}

/* Submits a request about the endpoint made last; `key` is its Idempotency-Key, NULL for none. */
static inline void submit_with(struct world *world, enum courier_op op, uint64_t n,
                               const char *body, const char *key)
{
    struct courier_request *request = &world->request;
    request_clear(world);
    *request =
        (struct courier_request){.op = op,
                                 .n = n,
                                 .access = world->access.rules ? world->access : ACCESS_OF_SERVER,
                                 .reply = &world->mailbox,
                                 .reply_mail = {NULL, on_reply}};
    snprintf(request->id, sizeof(request->id), "%s", world->id);
    if (body)
        buf_add_str(&request->body, str_from(body));
    if (key)
        buf_add_str(&request->key, str_from(key));
    world->replied = false;
    courier_submit(world->courier, request);
}

static inline void submit(struct world *world, enum courier_op op, const char *body)
{
    submit_with(world, op, 0, body, NULL);
}

static inline enum courier_fault reply(struct world *world)
{
    world_settle(world);
    for (int64_t ms = 0; !world->replied; ms += WORLD_TICK_MS) {
        assert_true(ms < WORLD_PATIENCE_MS);
        world_pass(world, WORLD_TICK_MS);
    }
    return world->request.fault;
}

static inline enum courier_fault ask(struct world *world, enum courier_op op, const char *body)
{
    submit(world, op, body);
    return reply(world);
}

/* No request comes while time stands still. The answer to a GET is there afterwards. */
static inline void assert_quiet(struct world *world)
{
    assert_int_equal(ask(world, COURIER_GET, NULL), 0);
    assert_null(receiver_next(world));
}

static inline enum courier_fault ask_delivery(struct world *world, enum courier_op op, uint64_t n)
{
    submit_with(world, op, n, NULL, NULL);
    return reply(world);
}

/* Returns a member of the answer as text; the caller frees it. */
static inline char *told(struct world *world, const char *member)
{
    json_t *answer = json_loadb(world->request.answer.at, world->request.answer.len, 0, NULL);
    assert_non_null(answer);
    const json_t *value = json_object_get(answer, member);
    char *text = json_is_string(value) ? strdup(json_string_value(value))
                                       : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    json_decref(answer);
    return text;
}

static inline void assert_told(struct world *world, const char *member, const char *expected)
{
    char *text = told(world, member);
    assert_non_null(text);
    assert_string_equal(text, expected);
    free(text);
}

static inline bool answer_has(const struct world *world, const char *text)
{
    const struct buf *answer = &world->request.answer;
    return answer->len && memmem(answer->at, answer->len, text, strlen(text)) != NULL;
}

/* Waits until the endpoint shows that. */
static inline void await(struct world *world, const char *member, const char *expected)
{
    bool reached = false;
    for (int64_t ms = 0; !reached; ms += WORLD_TICK_MS) {
        assert_int_equal(ask(world, COURIER_GET, NULL), 0);
        char *text = told(world, member);
        reached = text && strcmp(text, expected) == 0;
        if (!reached && ms >= WORLD_PATIENCE_MS)
            fail_msg("%s is %s and not %s", member, text ? text : "missing", expected);
        free(text);
        if (!reached)
            world_pass(world, WORLD_TICK_MS);
    }
}

/* Waits until the delivery log has this text. */
static inline void await_logged(struct world *world, const char *text)
{
    for (int64_t ms = 0;; ms += WORLD_TICK_MS) {
        assert_int_equal(ask(world, COURIER_DELIVERIES, NULL), 0);
        if (answer_has(world, text))
            return;
        if (ms >= WORLD_PATIENCE_MS)
            fail_msg("%s is not in the delivery log", text);
        world_pass(world, WORLD_TICK_MS);
    }
}

static inline struct endpoint *the_endpoint(const struct world *world)
{
    struct endpoint *endpoint = directory_find(world->courier, world->id);
    assert_non_null(endpoint);
    return endpoint;
}

/* ---- publishing ------------------------------------------------------------------------------ */

static inline void no_batch(void *owner, struct batch *batch)
{
    (void)owner;
    (void)batch;
}

static inline void on_published(struct publish *publish, struct batch *batch)
{
    struct world *world = container_of(publish, struct world, publish);
    assert_int_equal(publish->verdict, 0);
    world->published = batch->events[0].id;
}

/* Appends what is in `append`, of `count` events, and waits until it is safe. */
static inline uint64_t append_all(struct world *world, struct append *append, uint32_t count)
{
    world->publish = (struct publish){.count = count, .done = on_published};
    world->published = 0;
    append_add(append, &world->publish);
    log_append(world->log, append);
    while (!world->published)
        world_step(world, 1);
    return world->published;
}

static inline struct event *add_event(struct world *world, struct append *append,
                                      const char *channel, struct str data)
{
    struct event *event = batch_add(append->batch);
    *event = (struct event){.channel = batch_copy(append->batch, str_from(channel)),
                            .type = STR("message"),
                            .data = batch_copy(append->batch, data),
                            .kind = EVENT_TEXT,
                            .state = EVENT_PROPOSED,
                            .time_us = world->clock.wall_us};
    return event;
}

static inline uint64_t append_with(struct world *world, const char *channel, enum event_state state,
                                   uint8_t hops)
{
    struct append *append = append_new(world->log, &world->port);
    struct event *event = add_event(world, append, channel, STR("hello"));
    event->state = (uint8_t)state;
    event->hops = hops;
    return append_all(world, append, 1);
}

static inline uint64_t append(struct world *world, const char *channel, enum event_state state)
{
    return append_with(world, channel, state, 0);
}

static inline uint64_t publish(struct world *world, const char *channel)
{
    return append(world, channel, EVENT_PROPOSED);
}

/* Publishes `count` events of `size` bytes to c/0, c/1, … in one batch, so that they make one page.
 * There are so many channels, which take turns. */
static inline void append_round(struct world *world, unsigned count, unsigned size,
                                unsigned channels)
{
    struct append *append = append_new(world->log, &world->port);
    char channel[16], *data = malloc(size);
    memset(data, 'x', size);
    for (unsigned i = 0; i < count; i++) {
        snprintf(channel, sizeof(channel), "c/%u", i % channels);
        (void)add_event(world, append, channel, (struct str){data, size});
    }
    free(data);
    append_all(world, append, count);
}

static inline void append_page(struct world *world, unsigned count, unsigned size)
{
    append_round(world, count, size, count);
}

/* ---- set-up ---------------------------------------------------------------------------------- */

static const int64_t world_schedule_ms[] = {1, 1};

/* Opens log and courier, with what a world before them has left in `dir` if there is one. */
static inline void open_world(struct world *world)
{
    struct log_config log = {.memory = !*world->dir,
                             .store = {.dir = world->dir,
                                       .roll_bytes = 64 << 20,
                                       .roll_us = INT64_C(3600000000),
                                       .clock = &world->clock.clock},
                             .bytes_max = *world->dir ? 0 : 64 << 20,
                             .channels_max = 1000,
                             .keys_max = 1000,
                             .key_life_us = 1000000,
                             .readers = 1};
    assert_int_equal(mailbox_init(&world->mailbox, world), 0);
    assert_int_equal(log_open(&log, &world->log), 0);
    world->port = (struct log_port){.mailbox = &world->mailbox, .on_batch = no_batch};
    assert_int_equal(log_attach(world->log, &world->port), 0);
    world->config.log = world->log;
    world->config.dir = *world->dir ? world->dir : NULL;
    assert_int_equal(courier_open(&world->config, &world->courier), 0);
    world->courier->client.ops = &receiver_ops;
}

/* Stops the courier like its thread does. */
static inline void close_world(struct world *world)
{
    courier_begin_stop(world->courier);
    while (!courier_is_done(world->courier))
        world_pass(world, WORLD_TICK_MS);
    courier_end(world->courier);
    log_close(world->log);
    while (mailbox_empty(&world->mailbox))
        ;
    courier_free(world->courier);
    mailbox_deinit(&world->mailbox);
    assert_true(list_empty(&world->calls));
}

/* A world whose configuration the test may still change, before open_world(). */
static inline struct world *world_new(void)
{
    struct world *world = calloc(1, sizeof(*world));
    list_init(&world->calls);
    world->clock.clock = (struct clock){world_wall_us, world_monotonic_ns};
    world->clock.wall_us = INT64_C(1795459080000000);
    world->clock.monotonic_us = INT64_C(1000000000);
    world->config = (struct courier_config){
        .clock = &world->clock.clock,
        .hub = {.window_bytes = 1 << 20, .chunk_bytes = 65536, .cache_bytes = 1 << 20},
        .allow_loopback = true,
        .probe_ms = 1,
        .schedule_ms = world_schedule_ms,
        .schedule_count = 2,
        .timeout_ms = WORLD_PATIENCE_MS,
        .endpoints_max = 2};
    return world;
}

static inline int world_set_up(void **state)
{
    *state = world_new();
    open_world(*state);
    return 0;
}

static inline int world_set_up_on_disk(void **state)
{
    struct world *world = world_new();
    memcpy(world->dir, WORLD_DIR, sizeof(WORLD_DIR));
    assert_non_null(mkdtemp(world->dir));
    open_world(world);
    *state = world;
    return 0;
}

static inline int world_tear_down(void **state)
{
    struct world *world = *state;
    close_world(world);
    if (*world->dir)
        folder_testing_remove(world->dir);
    request_clear(world);
    free(world);
    return 0;
}

/* ---- endpoints ------------------------------------------------------------------------------- */

static inline void note_created(struct world *world)
{
    char *id = told(world, "id"), *secret = told(world, "secret");
    snprintf(world->id, sizeof(world->id), "%s", id);
    snprintf(world->secret, sizeof(world->secret), "%s", secret);
    free(id);
    free(secret);
}

/* Submits the registration of a webhook for `channels`, an array; `more` are further members,
 * beginning with a comma. */
static inline void submit_creation_for(struct world *world, const char *channels, const char *more,
                                       const char *key)
{
    char body[512];
    snprintf(body, sizeof(body), "{\"url\":\"" WORLD_URL "\",\"channels\":%s%s}", channels, more);
    submit_with(world, COURIER_CREATE, 0, body, key);
}

static inline void submit_creation(struct world *world, const char *more)
{
    submit_creation_for(world, "[\"a\"]", more, NULL);
}

static inline void create_for(struct world *world, const char *channels, const char *more)
{
    submit_creation_for(world, channels, more, NULL);
    assert_int_equal(reply(world), 0);
    note_created(world);
    receive(world);
    assert_ping(world);
    assert_signed(world, world->secret);
    answer(world, "200 OK");
}

/* Registers the receiver for channel `a`, and answers its first ping. */
static inline void create(struct world *world, const char *more)
{
    create_for(world, "[\"a\"]", more);
}

/* The same for the channels of append_round(). */
static inline void create_for_many(struct world *world, const char *more)
{
    create_for(world, "[\"c/*\"]", more);
}
