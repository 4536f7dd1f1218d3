/* An endpoint takes one event at a time from the hub, keeps it in hand until the receiver has
 * answered 2xx, then moves its cursor. What is in hand is lost in a crash, and read again from the
 * cursor: at least once, in order. Cursors are written in groups, a little behind. */
#include "courier/courier.h"

#include "base/hash.h"
#include "base/rfc3339.h"
#include "base/say.h"
#include "courier/delivery.h"
#include "courier/endpoints.h"
#include "log/envelope.h"

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>

enum { ENDPOINTS_MAX = 1000, KEEP_MS = 50, JITTER_PERCENT = 20, WEBHOOK_ID_MAX = 48 };

struct endpoint {
    struct list node;
    struct list ready; /* in courier->ready when there may be something to do */
    struct courier *courier;
    struct endpoint_row row;
    struct sub sub;
    struct delivery delivery;
    char hand_id[WEBHOOK_ID_MAX]; /* webhook-id of what is in hand; empty for nothing */
    uint64_t hand_cursor;         /* the position once that is delivered */
    uint32_t failures;            /* in a row */
    int64_t retry_at_ns;          /* 0 when not waiting */
    long last_status;
    char last_error[128];
    uint64_t delivered;
    bool changed; /* the row is not as on disk */
};

/* A ping under way. */
struct ping {
    struct delivery delivery;
    struct courier_request *request;
    struct courier *courier;
    struct endpoint *created; /* to be added if it is answered; NULL for one that exists */
};

struct courier {
    struct courier_config config;
    struct sqlite3 *db;
    struct mailbox mailbox;
    struct hub hub;
    struct deliveries deliveries;
    struct list endpoints;
    struct list ready;
    _Atomic uint64_t count;
    int64_t keep_at_ns; /* when changed rows are written; 0 when there are none */
    struct mail stop_mail;
    bool stopping;
    pthread_t thread;
};

static int64_t now_ns(const struct courier *courier)
{
    return clock_now_ns(courier->config.clock);
}

static int64_t now_s(const struct courier *courier)
{
    return clock_wall_us(courier->config.clock) / 1000000;
}

static void encode(void *context, unsigned encoding, struct buf *out, const struct event *event)
{
    (void)context;
    (void)encoding;
    envelope_add(out, event);
}

/* ---- delivering ------------------------------------------------------------------------------ */

static void note_ready(struct endpoint *endpoint)
{
    if (!list_linked(&endpoint->ready))
        list_add_last(&endpoint->courier->ready, &endpoint->ready);
}

static void wake(struct sub *sub)
{
    note_ready(container_of(sub, struct endpoint, sub));
}

static const struct sub_ops sub_ops = {wake};

static void note_changed(struct endpoint *endpoint)
{
    struct courier *courier = endpoint->courier;
    endpoint->changed = true;
    if (!courier->keep_at_ns)
        courier->keep_at_ns = now_ns(courier) + KEEP_MS * INT64_C(1000000);
}

static int64_t delay_ms(const struct endpoint *endpoint)
{
    const struct courier_config *config = &endpoint->courier->config;
    size_t attempt = endpoint->failures - 1;
    if (attempt >= config->schedule_count)
        attempt = config->schedule_count - 1;
    int64_t ms = config->schedule_ms[attempt];
    uint32_t random;
    hash_random(&random, sizeof(random));
    int64_t spread = ms * 2 * JITTER_PERCENT / 100;
    ms += (spread ? (int64_t)(random % (uint64_t)(spread + 1)) : 0) - spread / 2;
    return ms > endpoint->delivery.retry_after_ms ? ms : endpoint->delivery.retry_after_ms;
}

static void put_down(struct endpoint *endpoint)
{
    endpoint->hand_id[0] = '\0';
    buf_free(&endpoint->delivery.body);
}

static void disable(struct endpoint *endpoint)
{
    endpoint->row.state = ENDPOINT_DISABLED;
    put_down(endpoint);
    hub_unsubscribe(&endpoint->courier->hub, &endpoint->sub);
    note_changed(endpoint);
    say(SAY_INFO, "webhook_disabled", "id=%s status=410", endpoint->row.id);
}

static void delivered(struct endpoint *endpoint)
{
    if (endpoint->failures)
        say(SAY_INFO, "webhook_recovered", "id=%s failures=%u", endpoint->row.id,
            endpoint->failures);
    endpoint->failures = 0;
    endpoint->delivered++;
    endpoint->row.cursor = endpoint->hand_cursor;
    put_down(endpoint);
    note_changed(endpoint);
    note_ready(endpoint);
}

static void on_done(struct delivery *delivery, long status, const char *error)
{
    struct endpoint *endpoint = container_of(delivery, struct endpoint, delivery);
    endpoint->last_status = status;
    snprintf(endpoint->last_error, sizeof(endpoint->last_error), "%s", status ? "" : error);
    if (status >= 200 && status < 300) {
        delivered(endpoint);
    } else if (status == 410) {
        disable(endpoint);
    } else {
        if (!endpoint->failures++)
            say(SAY_WARN, "webhook_failing", "id=%s status=%ld", endpoint->row.id, status);
        endpoint->retry_at_ns = now_ns(endpoint->courier) + delay_ms(endpoint) * 1000000;
    }
}

static void send_hand(struct endpoint *endpoint)
{
    struct courier *courier = endpoint->courier;
    endpoint->retry_at_ns = 0;
    endpoint->delivery.done = on_done;
    if (delivery_start(&courier->deliveries, &endpoint->delivery, endpoint->row.url,
                       &endpoint->row.key, str_from(endpoint->hand_id), now_s(courier)))
        on_done(&endpoint->delivery, 0, "no memory");
}

/* The first record of what was taken goes into the hand. */
static void take_first(struct endpoint *endpoint, const struct taken *taken)
{
    struct str rest;
    uint32_t start = chunk_start(taken->chunk, taken->first);
    size_t size = taken->chunk->records[taken->first].end - start;
    uint64_t id = taken->chunk->records[taken->first].id;
    if (id) { /* ephemeral events are not for webhooks */
        buf_clear(&endpoint->delivery.body);
        buf_add(&endpoint->delivery.body, taken->chunk->bytes.at + start, size);
        snprintf(endpoint->hand_id, sizeof(endpoint->hand_id), "%016llu", (unsigned long long)id);
        endpoint->hand_cursor = id;
    }
    hub_sent(&endpoint->courier->hub, &endpoint->sub, size, false, &rest);
}

static void take_gap(struct endpoint *endpoint, uint64_t trimmed)
{
    struct buf *body = &endpoint->delivery.body;
    unsigned long long after = endpoint->sub.cursor, earliest = trimmed;
    buf_clear(body);
    buf_addf(body,
             "{\"type\":\"$gap\",\"data\":{\"after\":\"%016llu\",\"earliest\":\"%016llu\","
             "\"reason\":\"trimmed\"}}",
             after, earliest);
    snprintf(endpoint->hand_id, sizeof(endpoint->hand_id), "gap_%016llu_%016llu", after, earliest);
    endpoint->hand_cursor = endpoint->sub.cursor;
}

/* Fills the hand if there is anything to fill it with. */
static void take(struct endpoint *endpoint)
{
    struct taken taken;
    while (!endpoint->hand_id[0]) {
        switch (hub_take(&endpoint->courier->hub, &endpoint->sub, &taken)) {
        case TAKE_BYTES:
            take_first(endpoint, &taken);
            break;
        case TAKE_GAP:
            take_gap(endpoint, taken.trimmed);
            break;
        case TAKE_FAILED:
            endpoint->retry_at_ns = now_ns(endpoint->courier) + INT64_C(1000000000);
            return;
        case TAKE_NOTHING:
        case TAKE_WAIT:
            return;
        }
    }
    if (buf_failed(&endpoint->delivery.body))
        on_done(&endpoint->delivery, 0, "no memory");
    else
        send_hand(endpoint);
}

static void go_on(struct endpoint *endpoint)
{
    bool busy =
        endpoint->delivery.easy || endpoint->retry_at_ns || endpoint->row.state != ENDPOINT_ACTIVE;
    if (!busy && !endpoint->hand_id[0])
        take(endpoint);
}

static void retry_due(struct courier *courier)
{
    int64_t now = now_ns(courier);
    list_each (&courier->endpoints, node) {
        struct endpoint *endpoint = container_of(node, struct endpoint, node);
        if (!endpoint->retry_at_ns || endpoint->retry_at_ns > now)
            continue;
        endpoint->retry_at_ns = 0;
        if (endpoint->hand_id[0])
            send_hand(endpoint);
        else
            go_on(endpoint);
    }
}

static void keep_changed(struct courier *courier)
{
    courier->keep_at_ns = 0;
    bool good = endpoints_begin(courier->db) == 0;
    list_each (&courier->endpoints, node) {
        struct endpoint *endpoint = container_of(node, struct endpoint, node);
        if (good && endpoint->changed)
            good = endpoints_update(courier->db, &endpoint->row) == 0;
    }
    good = endpoints_commit(courier->db) == 0 && good;
    if (!good) {
        courier->keep_at_ns = now_ns(courier) + INT64_C(1000000000);
        return;
    }
    list_each (&courier->endpoints, kept) {
        container_of(kept, struct endpoint, node)->changed = false;
    }
}

/* ---- endpoints ------------------------------------------------------------------------------- */

static struct selection *selection_of(const struct endpoint_row *row)
{
    struct str terms[SELECTION_TERMS_MAX], types[SELECTION_TERMS_MAX];
    json_t *channels = json_loads(row->channels, 0, NULL),
           *wanted = json_loads(row->types, 0, NULL);
    size_t terms_count = json_array_size(channels), types_count = json_array_size(wanted);
    for (size_t i = 0; i < terms_count && i < SELECTION_TERMS_MAX; i++)
        terms[i] = str_from(json_string_value(json_array_get(channels, i)));
    for (size_t i = 0; i < types_count && i < SELECTION_TERMS_MAX; i++)
        types[i] = str_from(json_string_value(json_array_get(wanted, i)));
    struct selection *selection = selection_new(terms, terms_count, types, types_count, NULL);
    json_decref(channels);
    json_decref(wanted);
    return selection;
}

static void endpoint_free(struct endpoint *endpoint)
{
    delivery_cancel(&endpoint->delivery);
    hub_unsubscribe(&endpoint->courier->hub, &endpoint->sub);
    list_remove(&endpoint->ready);
    list_remove(&endpoint->node);
    endpoint_row_free(&endpoint->row);
    free(endpoint);
}

/* Begins to deliver. `told`: as in hub_subscribe. */
static int endpoint_begin(struct endpoint *endpoint, uint64_t told)
{
    struct courier *courier = endpoint->courier;
    struct selection *selection = selection_of(&endpoint->row);
    int result = selection ? hub_subscribe(&courier->hub, &endpoint->sub, &sub_ops, selection, 0,
                                           endpoint->row.cursor, told)
                           : -ENOMEM;
    selection_unref(selection);
    if (result)
        return result;
    list_add_last(&courier->endpoints, &endpoint->node);
    atomic_fetch_add(&courier->count, 1);
    note_ready(endpoint);
    return 0;
}

static void load(void *context, struct endpoint_row *row)
{
    struct courier *courier = context;
    struct endpoint *endpoint = mem_alloc(sizeof(*endpoint));
    endpoint->courier = courier;
    endpoint->row = *row;
    if (endpoint_begin(endpoint, 0))
        abort(); /* no memory at the start */
    if (row->state != ENDPOINT_ACTIVE)
        hub_unsubscribe(&courier->hub, &endpoint->sub);
}

/* ---- answers --------------------------------------------------------------------------------- */

static void reply(struct courier_request *request)
{
    if (buf_failed(&request->answer)) {
        request->problem = "unavailable";
        request->detail = "no memory: try again";
    }
    mailbox_post(request->reply, &request->reply_mail);
}

static void refuse(struct courier_request *request, const char *problem, const char *detail)
{
    request->problem = problem;
    request->detail = detail;
    reply(request);
}

static void add_text(struct buf *out, const char *name, const char *text)
{
    buf_addf(out, "\"%s\":", name);
    buf_add_json(out, str_from(text));
    buf_add_char(out, ',');
}

static void describe(const struct endpoint *endpoint, struct buf *out, bool with_secret)
{
    const struct endpoint_row *row = &endpoint->row;
    buf_add_char(out, '{');
    add_text(out, "id", row->id);
    add_text(out, "url", row->url);
    buf_addf(out, "\"channels\":%s,\"types\":%s,", row->channels, row->types);
    add_text(out, "description", row->description);
    if (with_secret) {
        buf_add_lit(out, "\"secret\":\"");
        sign_key_add(out, &row->key);
        buf_add_lit(out, "\",");
    }
    add_text(out, "state",
             row->state == ENDPOINT_DISABLED ? "disabled"
             : endpoint->failures            ? "failing"
                                             : "active");
    buf_add_lit(out, "\"created\":\"");
    rfc3339_add(out, row->created_us);
    buf_add_lit(out, "\",\"cursor\":\"");
    buf_add_id(out, row->cursor);
    buf_add_lit(out, "\",\"newest\":\"");
    buf_add_id(out, hub_applied(&endpoint->courier->hub));
    buf_addf(out, "\",\"delivered\":%llu,\"failures\":%u,\"last_status\":%ld,",
             (unsigned long long)endpoint->delivered, endpoint->failures, endpoint->last_status);
    add_text(out, "last_error", endpoint->last_error);
    out->len--;
    buf_add_char(out, '}');
}

static struct endpoint *find(struct courier *courier, const char *id)
{
    list_each (&courier->endpoints, node) {
        struct endpoint *endpoint = container_of(node, struct endpoint, node);
        if (strcmp(endpoint->row.id, id) == 0)
            return endpoint;
    }
    return NULL;
}

/* ---- creating -------------------------------------------------------------------------------- */

static void make_id(char ret[ENDPOINT_ID_LEN + 1])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t random[ENDPOINT_ID_LEN - 3];
    hash_random(random, sizeof(random));
    memcpy(ret, "wh_", 3);
    for (size_t i = 0; i < sizeof(random); i++)
        ret[3 + i] = digits[random[i] & 63];
    ret[ENDPOINT_ID_LEN] = '\0';
}

/* A JSON array of strings that all satisfy `valid`; NULL with `*ret_why` when it is none. */
static char *read_list(const json_t *list, bool (*valid)(struct str text, const char **ret_why),
                       const char **ret_why)
{
    if (!json_is_array(list) || json_array_size(list) > SELECTION_TERMS_MAX)
        return NULL;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        if (!json_is_string(item) ||
            !valid((struct str){json_string_value(item), json_string_length(item)}, ret_why))
            return NULL;
    }
    return json_dumps(list, JSON_COMPACT);
}

static const char *read_after(const struct courier *courier, const char *after,
                              uint64_t *ret_cursor)
{
    char *end;
    *ret_cursor = hub_applied(&courier->hub);
    if (!after || strcmp(after, "now") == 0)
        return NULL;
    if (strcmp(after, "earliest") == 0) {
        *ret_cursor = 0;
        return NULL;
    }
    *ret_cursor = strtoull(after, &end, 10);
    bool good = after[0] >= '0' && after[0] <= '9' && !*end && strlen(after) <= 16 &&
                *ret_cursor <= log_newest(courier->config.log);
    return good ? NULL : "after is a cursor of this log, earliest or now";
}

/* NULL when fine, else what would be right. What was filled in is the caller's to free. */
static const char *read_row(const struct courier *courier, const json_t *body,
                            struct endpoint_row *row)
{
    const char *url = json_string_value(json_object_get(body, "url"));
    const char *description = json_string_value(json_object_get(body, "description"));
    const char *secret = json_string_value(json_object_get(body, "secret"));
    const json_t *types = json_object_get(body, "types"), *after = json_object_get(body, "after");
    const char *why = "channels is an array of channels or patterns, at most 100";
    if (!url || strlen(url) > ENDPOINT_URL_MAX || !delivery_url_valid(url))
        return "url is an http or https URL without user information";
    row->url = strdup(url);
    row->channels = read_list(json_object_get(body, "channels"), pattern_valid, &why);
    if (!row->channels || strcmp(row->channels, "[]") == 0)
        return why;
    why = "types is an array of event types";
    row->types = types ? read_list(types, type_valid, &why) : strdup("[]");
    if (!row->types)
        return why;
    if (description && strlen(description) > ENDPOINT_TEXT_MAX)
        return "description has at most 500 bytes";
    row->description = strdup(description ? description : "");
    if (after && !json_is_string(after))
        return "after is a string";
    if (secret && sign_key_read(str_from(secret), &row->key))
        return "secret is whsec_ and base64 of 24 to 64 bytes; leave it out to get one";
    if (!secret)
        sign_key_make(&row->key);
    return read_after(courier, json_string_value(after), &row->cursor);
}

static void start_ping(struct courier *courier, struct courier_request *request,
                       struct endpoint *endpoint, bool created);

/* `ping`: a first sign of life, whose answer nobody waits for. */
static void create(struct endpoint *endpoint, struct courier_request *request, bool ping)
{
    struct courier *courier = endpoint->courier;
    uint64_t told =
        endpoint->row.cursor ? 0 : EVENT_ID_MAX; /* who begins at the beginning misses nothing */
    if (endpoints_insert(courier->db, &endpoint->row)) {
        endpoint_free(endpoint);
        refuse(request, "unavailable", "the store cannot be written: try again");
    } else if (endpoint_begin(endpoint, told == 0 ? 0 : log_newest(courier->config.log))) {
        (void)endpoints_delete(courier->db, endpoint->row.id);
        endpoint_free(endpoint);
        refuse(request, "unavailable", "no memory: try again");
    } else {
        request->status = 201;
        describe(endpoint, &request->answer, true);
        reply(request);
        if (ping)
            start_ping(courier, NULL, endpoint, false);
    }
}

static void op_create(struct courier *courier, struct courier_request *request)
{
    json_t *body = json_loadb(request->body.at, request->body.len, 0, NULL);
    struct endpoint *endpoint = mem_alloc(sizeof(*endpoint));
    endpoint->courier = courier;
    make_id(endpoint->row.id);
    endpoint->row.created_us = clock_wall_us(courier->config.clock);
    const char *why = json_is_object(body)
                          ? read_row(courier, body, &endpoint->row)
                          : "the body is a JSON object: {\"url\":…,\"channels\":[…]}";
    bool verify = json_is_true(json_object_get(body, "verify"));
    json_decref(body);
    if (!why && atomic_load(&courier->count) >= ENDPOINTS_MAX)
        why = "there are as many webhooks as may be";
    if (why) {
        endpoint_free(endpoint);
        refuse(request, "bad-webhook", why);
    } else if (verify) {
        start_ping(courier, request, endpoint, true);
    } else {
        create(endpoint, request, true);
    }
}

/* ---- pings ----------------------------------------------------------------------------------- */

static void ping_done(struct delivery *delivery, long status, const char *error)
{
    struct ping *ping = container_of(delivery, struct ping, delivery);
    struct courier_request *request = ping->request;
    struct endpoint *created = ping->created;
    bool good = status >= 200 && status < 300, forbidden = delivery->refused;
    buf_free(&delivery->body);
    free(ping);
    if (!request)
        return;
    if (created && good) {
        create(created, request, false);
        return;
    }
    if (created) {
        endpoint_free(created);
        refuse(request, forbidden ? "forbidden-target" : "bad-webhook",
               forbidden
                   ? "this address is not allowed"
                   : "the verification ping was not answered with 2xx: nothing was registered");
        return;
    }
    request->status = 200;
    buf_addf(&request->answer, "{\"ok\":%s,\"status\":%ld,", good ? "true" : "false", status);
    add_text(&request->answer, "error", status ? "" : error);
    request->answer.len--;
    buf_add_char(&request->answer, '}');
    reply(request);
}

static void start_ping(struct courier *courier, struct courier_request *request,
                       struct endpoint *endpoint, bool created)
{
    char id[WEBHOOK_ID_MAX];
    uint64_t random;
    struct ping *ping = mem_alloc(sizeof(*ping));
    *ping =
        (struct ping){.request = request, .courier = courier, .created = created ? endpoint : NULL};
    hash_random(&random, sizeof(random));
    snprintf(id, sizeof(id), "ping_%016llx", (unsigned long long)random);
    buf_add_lit(&ping->delivery.body, "{\"type\":\"$ping\",\"time\":\"");
    rfc3339_add(&ping->delivery.body, clock_wall_us(courier->config.clock));
    buf_add_lit(&ping->delivery.body, "\",\"data\":{\"webhook\":\"");
    buf_add_str(&ping->delivery.body, str_from(endpoint->row.id));
    buf_add_lit(&ping->delivery.body, "\"}}");
    ping->delivery.done = ping_done;
    if (delivery_start(&courier->deliveries, &ping->delivery, endpoint->row.url, &endpoint->row.key,
                       str_from(id), now_s(courier)))
        ping_done(&ping->delivery, 0, "no memory");
}

/* ---- the other requests ---------------------------------------------------------------------- */

static void op_list(struct courier *courier, struct courier_request *request)
{
    const char *comma = "";
    buf_add_lit(&request->answer, "{\"webhooks\":[");
    list_each (&courier->endpoints, node) {
        buf_add_str(&request->answer, str_from(comma));
        describe(container_of(node, struct endpoint, node), &request->answer, false);
        comma = ",";
    }
    buf_add_lit(&request->answer, "]}");
    request->status = 200;
    reply(request);
}

static void op_delete(struct courier *courier, struct courier_request *request,
                      struct endpoint *endpoint)
{
    if (endpoints_delete(courier->db, endpoint->row.id)) {
        refuse(request, "unavailable", "the store cannot be written: try again");
        return;
    }
    endpoint_free(endpoint);
    atomic_fetch_sub(&courier->count, 1);
    request->status = 204;
    reply(request);
}

static void open_request(struct mail *mail, void *owner)
{
    struct courier_request *request = container_of(mail, struct courier_request, mail);
    struct courier *courier = owner;
    struct endpoint *endpoint = find(courier, request->id);
    if (courier->stopping) {
        refuse(request, "unavailable", "the server is stopping");
    } else if (request->op == COURIER_CREATE) {
        op_create(courier, request);
    } else if (request->op == COURIER_LIST) {
        op_list(courier, request);
    } else if (!endpoint) {
        refuse(request, "not-found", "GET /webhooks lists the webhooks that there are");
    } else if (request->op == COURIER_PING) {
        start_ping(courier, request, endpoint, false);
    } else if (request->op == COURIER_DELETE) {
        op_delete(courier, request, endpoint);
    } else {
        request->status = 200;
        describe(endpoint, &request->answer, false);
        reply(request);
    }
}

void courier_submit(struct courier *courier, struct courier_request *request)
{
    request->mail.open = open_request;
    mailbox_post(&courier->mailbox, &request->mail);
}

/* ---- the thread ------------------------------------------------------------------------------ */

static int wait_ms(const struct courier *courier)
{
    int64_t now = now_ns(courier), due = now + INT64_C(60000000000);
    if (courier->keep_at_ns && courier->keep_at_ns < due)
        due = courier->keep_at_ns;
    list_each (&courier->endpoints, node) {
        const struct endpoint *endpoint = container_of(node, struct endpoint, node);
        if (endpoint->retry_at_ns && endpoint->retry_at_ns < due)
            due = endpoint->retry_at_ns;
    }
    return due <= now ? 0 : (int)((due - now) / 1000000 + 1);
}

static void turn(struct courier *courier)
{
    mailbox_empty(&courier->mailbox);
    retry_due(courier);
    for (struct list *node; (node = list_take_first(&courier->ready));)
        go_on(container_of(node, struct endpoint, ready));
    deliveries_turn(&courier->deliveries);
    if (!list_empty(&courier->ready))
        return;
    hub_turn_end(&courier->hub);
    if (courier->keep_at_ns && courier->keep_at_ns <= now_ns(courier))
        keep_changed(courier);
    if (courier->stopping || !mailbox_sleep(&courier->mailbox))
        return;
    deliveries_wait(&courier->deliveries, courier->mailbox.wake_fd, wait_ms(courier));
    mailbox_wake(&courier->mailbox);
}

static void *courier_main(void *arg)
{
    struct courier *courier = arg;
    while (!courier->stopping)
        turn(courier);
    list_each (&courier->endpoints, node) {
        struct endpoint *endpoint = container_of(node, struct endpoint, node);
        /* With nothing in hand it has got as far as it has looked. */
        if (!endpoint->hand_id[0] && endpoint->sub.state != SUB_NONE &&
            hub_cursor(&courier->hub, &endpoint->sub) > endpoint->row.cursor) {
            endpoint->row.cursor = hub_cursor(&courier->hub, &endpoint->sub);
            endpoint->changed = true;
        }
    }
    keep_changed(courier);
    return NULL;
}

static void on_batch(void *owner, struct batch *batch)
{
    struct courier *courier = owner;
    hub_on_batch(&courier->hub, batch);
}

int courier_open(const struct courier_config *config, struct courier **ret_courier)
{
    struct courier *courier = mem_alloc(sizeof(*courier));
    courier->config = *config;
    list_init(&courier->endpoints);
    list_init(&courier->ready);
    int result = mailbox_init(&courier->mailbox, courier);
    if (!result)
        result = deliveries_init(&courier->deliveries, config->allow_loopback, config->timeout_ms);
    if (!result)
        result = hub_init(&courier->hub, config->log, config->clock, &courier->mailbox,
                          &config->hub, encode, NULL, on_batch);
    if (!result)
        result = endpoints_open(config->dir, &courier->db);
    if (!result)
        result = endpoints_load(courier->db, load, courier);
    *ret_courier = courier;
    return result;
}

int courier_start(struct courier *courier)
{
    return -pthread_create(&courier->thread, NULL, courier_main, courier);
}

static void stop(struct mail *mail, void *owner)
{
    (void)mail;
    ((struct courier *)owner)->stopping = true;
}

void courier_stop(struct courier *courier)
{
    courier->stop_mail.open = stop;
    mailbox_post(&courier->mailbox, &courier->stop_mail);
    pthread_join(courier->thread, NULL);
}

void courier_free(struct courier *courier)
{
    while (mailbox_empty(&courier->mailbox))
        ;
    list_each (&courier->endpoints, node)
        endpoint_free(container_of(node, struct endpoint, node));
    hub_deinit(&courier->hub);
    deliveries_deinit(&courier->deliveries);
    endpoints_close(courier->db);
    mailbox_deinit(&courier->mailbox);
    free(courier);
}

uint64_t courier_endpoints(const struct courier *courier)
{
    return atomic_load(&courier->count);
}
