/* From the hub to the receiver: one event at a time, in order, until it is accepted. */
#include "courier/endpoint.h"

#include "base/hash.h"
#include "base/say.h"

#include <inttypes.h>
#include <stdio.h>

enum { BUSY_MS = 1000 };

/* ---- readiness ------------------------------------------------------------------------------- */

void endpoint_ready(struct endpoint *endpoint)
{
    if (!list_linked(&endpoint->ready))
        list_add_last(&endpoint->courier->ready, &endpoint->ready);
}

static void wake(struct sub *sub)
{
    endpoint_ready(container_of(sub, struct endpoint, sub));
}

static const struct sub_ops sub_ops = {.wake = wake};

void endpoint_let_go(struct endpoint *endpoint)
{
    /* Bytes that are being sent stay until they are. */
    if (endpoint->hand == HAND_EVENT)
        endpoint->stale = true;
    else
        endpoint->chunk = chunk_unref(endpoint->chunk);
    hub_unsubscribe(&endpoint->courier->hub, &endpoint->sub);
}

void endpoint_wait(struct endpoint *endpoint)
{
    struct courier *courier = endpoint->courier;
    int64_t ms = (endpoint->row.next_us - clock_wall_us(courier->config.clock)) / 1000;
    timer_stop(&endpoint->retry);
    if (!endpoint->row.next_us || ms <= 0)
        endpoint_ready(endpoint);
    else
        /* The wall clock may have been put back meanwhile. */
        timer_set(&courier->loop, &endpoint->retry,
                  ms < 2 * SCHEDULE_DAY_MS ? ms : 2 * SCHEDULE_DAY_MS);
}

/* No memory, or the store cannot be read: not the receiver's fault. */
static void wait_a_little(struct endpoint *endpoint)
{
    timer_set(&endpoint->courier->loop, &endpoint->retry, BUSY_MS);
}

/* ---- outcomes -------------------------------------------------------------------------------- */

void endpoint_note(struct endpoint *endpoint, const struct call *call)
{
    endpoint->last_status = call->status;
    endpoint->last_error = call->error;
    endpoint->last_us = clock_wall_us(endpoint->courier->config.clock);
    buf_clear(&endpoint->last_response);
    buf_add_str(&endpoint->last_response, buf_str(&call->response));
}

static void delivered(struct endpoint *endpoint)
{
    struct endpoint_row *row = &endpoint->row;
    if (row->failures)
        say(SAY_INFO, "webhook_recovered", "id=%s failures=%" PRIu64, row->id, row->failures);
    row->cursor = endpoint->hand_cursor;
    row->told = endpoint->hand_told;
    row->failures = 0;
    row->next_us = 0;
    if (row->state == ENDPOINT_FAILING)
        row->state = ENDPOINT_ACTIVE;
}

static void disable(struct endpoint *endpoint)
{
    endpoint->row.state = ENDPOINT_DISABLED;
    endpoint->row.next_us = 0;
    endpoint_let_go(endpoint);
    say(SAY_WARN, "webhook_disabled", "id=%s status=410", endpoint->row.id);
}

static void failed(struct endpoint *endpoint)
{
    struct courier *courier = endpoint->courier;
    struct endpoint_row *row = &endpoint->row;
    const struct call *call = &endpoint->call;
    int64_t now_us = clock_wall_us(courier->config.clock);
    uint32_t random;
    hash_random(&random, sizeof(random));
    int64_t asked_ms = retry_after_ms(str_from(call->retry_after), now_us);
    int64_t delay_ms = schedule_delay_ms(&courier->schedule, ++row->failures, random, asked_ms);
    row->next_us = now_us + delay_ms * 1000;
    endpoint_let_go(endpoint);
    say(SAY_WARN, "webhook_failed",
        "id=%s status=%d failures=%" PRIu64 " retry_ms=%" PRId64 " detail=\"%s\"", row->id,
        call->status, row->failures, delay_ms, call->error ? call->error : "");
    if (row->state == ENDPOINT_ACTIVE && schedule_is_over(&courier->schedule, row->failures)) {
        row->state = ENDPOINT_FAILING;
        say(SAY_ERROR, "webhook_failing", "id=%s failures=%" PRIu64, row->id, row->failures);
    }
}

static void count_attempt(struct courier *courier, const struct call *call, bool accepted)
{
    _Atomic uint64_t *counter = accepted ? &courier->stats.deliveries : &courier->stats.failures;
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
    int64_t ns = call->ended_ns - call->started_ns;
    hist_add(&courier->stats.attempts_ns, ns > 0 ? (uint64_t)ns : 0, 1);
}

static void attempt_done(struct call *call)
{
    struct endpoint *endpoint = container_of(call, struct endpoint, call);
    bool accepted = call->status >= 200 && call->status < 300;
    count_attempt(endpoint->courier, call, accepted);
    endpoint_note(endpoint, call);
    endpoint->hand = HAND_EMPTY;
    if (accepted)
        delivered(endpoint);
    else if (call->status == 410)
        disable(endpoint);
    else
        failed(endpoint);
    if (endpoint->stale) {
        endpoint->stale = false;
        endpoint_let_go(endpoint);
    }
    endpoint_changed(endpoint);
    if (!endpoint_runs(endpoint))
        /* Kept before anybody is told of it. */
        endpoint->courier->keep_at_ns = endpoint->call.ended_ns;
    endpoint_wait(endpoint);
}

/* ---- attempts -------------------------------------------------------------------------------- */

static bool add_header(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (longer)
        *list = longer;
    return longer != NULL;
}

static void add_signature(const struct endpoint *endpoint, struct buf *line, struct str id,
                          int64_t now_us, struct str body)
{
    const struct endpoint_row *row = &endpoint->row;
    buf_add_lit(line, "webhook-signature: ");
    sign_add(line, &row->key, id, now_us / 1000000, body);
    if (row->old_key.len && now_us < row->old_until_us) {
        buf_add_char(line, ' ');
        sign_add(line, &row->old_key, id, now_us / 1000000, body);
    }
    buf_add_char(line, '\0');
}

struct curl_slist *endpoint_headers(const struct endpoint *endpoint, struct str id, struct str body)
{
    struct curl_slist *list = NULL;
    struct buf signature = {0};
    char id_line[16 + WEBHOOK_ID_MAX], time_line[64];
    int64_t now_us = clock_wall_us(endpoint->courier->config.clock);
    add_signature(endpoint, &signature, id, now_us, body);
    snprintf(id_line, sizeof(id_line), "webhook-id: %.*s", STR_FMT(id));
    snprintf(time_line, sizeof(time_line), "webhook-timestamp: %" PRId64, now_us / 1000000);
    /* An empty Expect keeps curl from asking first, for which it would wait a second. */
    bool good = !buf_failed(&signature) && add_header(&list, "Content-Type: application/json") &&
                add_header(&list, id_line) && add_header(&list, time_line) &&
                add_header(&list, signature.at) && add_header(&list, "Expect:");
    for (char **line = endpoint->headers; good && *line; line++)
        good = add_header(&list, *line);
    buf_free(&signature);
    if (good)
        return list;
    curl_slist_free_all(list);
    return NULL;
}

static void attempt(struct endpoint *endpoint, enum hand hand, struct str id, struct str body)
{
    struct curl_slist *headers = endpoint_headers(endpoint, id, body);
    endpoint->call.done = attempt_done;
    if (headers &&
        !call_post(&endpoint->courier->client, &endpoint->call, endpoint->row.url, headers, body)) {
        endpoint->hand = hand;
        return;
    }
    endpoint_let_go(endpoint);
    wait_a_little(endpoint);
}

static void attempt_event(struct endpoint *endpoint)
{
    const struct record *record = &endpoint->chunk->records[endpoint->at];
    uint32_t start = chunk_start(endpoint->chunk, endpoint->at);
    struct str body = {endpoint->chunk->bytes.at + start, record->end - start};
    char id[WEBHOOK_ID_MAX];
    int len = snprintf(id, sizeof(id), "%016" PRIu64, record->id);
    endpoint->at++;
    endpoint->hand_cursor = record->id;
    endpoint->hand_told = endpoint->row.told;
    attempt(endpoint, HAND_EVENT, (struct str){id, (size_t)len}, body);
}

static void attempt_gap(struct endpoint *endpoint, uint64_t trimmed, const char *reason)
{
    struct buf *body = &endpoint->hand_body;
    char id[WEBHOOK_ID_MAX];
    uint64_t after = endpoint->row.cursor;
    int len = snprintf(id, sizeof(id), "gap_%016" PRIu64 "_%016" PRIu64, after, trimmed);
    buf_clear(body);
    buf_addf(body,
             "{\"type\":\"$gap\",\"after\":\"%016" PRIu64 "\",\"earliest\":\"%016" PRIu64
             "\",\"reason\":\"%s\"}",
             after, trimmed, reason);
    if (buf_failed(body)) {
        endpoint_let_go(endpoint);
        wait_a_little(endpoint);
        return;
    }
    attempt(endpoint, HAND_GAP, (struct str){id, (size_t)len}, buf_str(body));
}

/* ---- what comes next ------------------------------------------------------------------------- */

/* A cursor beyond the log: it lost its newest events (an older copy of the folder, say). */
static bool is_unknown(struct endpoint *endpoint)
{
    struct courier *courier = endpoint->courier;
    if (endpoint->row.cursor <= log_newest(courier->config.log))
        return false;
    uint64_t trimmed = log_trimmed(courier->config.log, endpoint->selection);
    endpoint->hand_cursor = 0;
    endpoint->hand_told = trimmed;
    attempt_gap(endpoint, trimmed, "unknown");
    return true;
}

static void hold(struct endpoint *endpoint, const struct taken *taken)
{
    struct str rest;
    endpoint->chunk = chunk_ref(endpoint->sub.taken);
    endpoint->at = taken->first;
    endpoint->end = taken->end;
    hub_sent(&endpoint->courier->hub, &endpoint->sub, taken->bytes.len, false, &rest);
}

/* Whether an event at hand was sent; ephemeral ones have no id, and are not for webhooks. */
static bool send_next(struct endpoint *endpoint)
{
    while (endpoint->chunk && endpoint->at < endpoint->end) {
        if (endpoint->chunk->records[endpoint->at].id > endpoint->row.cursor) {
            attempt_event(endpoint);
            return true;
        }
        endpoint->at++;
    }
    endpoint->chunk = chunk_unref(endpoint->chunk);
    return false;
}

static bool take(struct endpoint *endpoint)
{
    struct taken taken;
    switch (hub_take(&endpoint->courier->hub, &endpoint->sub, &taken)) {
    case TAKE_BYTES:
        hold(endpoint, &taken);
        return true;
    case TAKE_GAP:
        endpoint->hand_cursor = endpoint->row.cursor;
        endpoint->hand_told = taken.trimmed;
        attempt_gap(endpoint, taken.trimmed, "trimmed");
        return false;
    case TAKE_FAILED:
        wait_a_little(endpoint);
        return false;
    case TAKE_NOTHING:
    case TAKE_WAIT:
        break;
    }
    return false;
}

static bool subscribe(struct endpoint *endpoint)
{
    struct hub *hub = &endpoint->courier->hub;
    if (endpoint->sub.state != SUB_NONE)
        return true;
    if (!hub_subscribe(hub, &endpoint->sub, &sub_ops, endpoint->selection, 0, endpoint->row.cursor,
                       endpoint->row.told))
        return true;
    wait_a_little(endpoint);
    return false;
}

static void go(struct endpoint *endpoint)
{
    bool waits = list_linked(&endpoint->retry.node);
    if (endpoint->hand != HAND_EMPTY || waits || !endpoint_runs(endpoint) ||
        endpoint->courier->stopping)
        return;
    if (!send_next(endpoint) && !is_unknown(endpoint) && subscribe(endpoint))
        while (take(endpoint) && !send_next(endpoint))
            ;
}

void endpoints_go(struct courier *courier)
{
    for (struct list *node; (node = list_take_first(&courier->ready));)
        go(container_of(node, struct endpoint, ready));
}
