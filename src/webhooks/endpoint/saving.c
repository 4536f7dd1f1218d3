/* Progress on its way to disk. One bundle at a time is with the keeper, and the next is filled
 * meanwhile. Load determines the bundles, not a timer: the faster the deliveries, the larger they
 * are. */
#include "webhooks/endpoint/endpoint.h"

#include "base/arena.h"
#include "base/say.h"

#include <stdlib.h>

enum {
    KEEP_MS = 20,
    KEEP_AGAIN_MS = 1000,
    PRUNE_MS = 1000,
    PRUNE_MOST = 20000,       /* looked at in a second; no more than that are delivered in one */
    RESPONSES_MAX = 16 << 20, /* bytes; deliveries beyond are kept without theirs */
    AGAIN_MOST = 10000
};

struct attempts {
    struct record_attempt *all;
    size_t count;
    size_t cap;
    size_t bytes; /* of responses */
};

/* A bundle: everything in it is a copy, since its endpoints may go while it is written. */
struct keep {
    struct keeper_job job;
    struct courier *courier;
    struct arena arena;
    struct kept_row {
        struct endpoint_row row; /* do not read its texts: the endpoint may be gone */
        unsigned accepted;
    } * rows;
    size_t rows_count;
    struct lane_row *lanes; /* without a channel: the lane is to be dropped */
    size_t lanes_count, lanes_cap;
    struct attempts attempts;
    bool prune;
    int64_t prune_before_us;
    uint64_t prune_rows;
};

/* ---- gathering ------------------------------------------------------------------------------- */

static struct keep *gathering(struct courier *courier)
{
    if (!courier->keep) {
        courier->keep = mem_alloc(sizeof(*courier->keep));
        courier->keep->courier = courier;
    }
    if (!courier->keep_at_ns)
        courier->keep_at_ns = clock_now_ns(courier->config.clock) + KEEP_MS * INT64_C(1000000);
    return courier->keep;
}

void endpoint_changed(struct endpoint *endpoint)
{
    if (!list_linked(&endpoint->node)) /* deleted, or not there yet: kept as a whole */
        return;
    if (!list_linked(&endpoint->changed))
        list_add_last(&endpoint->courier->changed, &endpoint->changed);
    (void)gathering(endpoint->courier);
}

void lane_changed(struct lane *lane)
{
    if (lane->kind == LANE_GAP || lane->kind == LANE_LETTER || lane->leaves)
        return;
    if (!list_linked(&lane->changed))
        list_add_last(&lane->endpoint->lanes_changed, &lane->changed);
    endpoint_changed(lane->endpoint);
}

static void *grow(void *all, size_t count, size_t *cap, size_t size)
{
    if (count < *cap)
        return all;
    *cap = *cap ? *cap * 2 : 64;
    void *more = mem_try_realloc(all, *cap * size);
    if (!more)
        abort();
    return more;
}

static struct lane_row *add_lane(struct keep *keep)
{
    keep->lanes = grow(keep->lanes, keep->lanes_count, &keep->lanes_cap, sizeof(*keep->lanes));
    return &keep->lanes[keep->lanes_count++];
}

void lane_forgotten(struct lane *lane)
{
    *add_lane(gathering(lane->endpoint->courier)) =
        (struct lane_row){.endpoint = lane->row.endpoint, .slot = lane->row.slot};
    endpoint_changed(lane->endpoint);
}

void keep_attempt(struct courier *courier, const struct record_attempt *attempt)
{
    struct keep *keep = gathering(courier);
    struct attempts *attempts = &keep->attempts;
    attempts->all = grow(attempts->all, attempts->count, &attempts->cap, sizeof(*attempts->all));
    struct record_attempt *copy = &attempts->all[attempts->count++];
    *copy = *attempt;
    /* While the disk is slow the bundle grows, and a response may be large. */
    if (attempts->bytes > RESPONSES_MAX)
        copy->response = STR_NONE;
    attempts->bytes += copy->response.len;
    copy->channel = arena_copy(&keep->arena, attempt->channel);
    copy->type = arena_copy(&keep->arena, attempt->type);
    copy->response = arena_copy(&keep->arena, copy->response);
    copy->letter = arena_copy(&keep->arena, attempt->letter);
    /* Without memory it is the copy that suffers, not the delivery. */
    struct str *parts[] = {&copy->channel, &copy->type, &copy->response, &copy->letter};
    for (size_t i = 0; i < 4; i++)
        if (!parts[i]->at)
            *parts[i] = STR("");
}

/* ---- writing, on the keeper's thread ----------------------------------------------------------
 */

static int write_lanes(const struct keep *keep, struct registry *registry)
{
    int result = 0;
    for (size_t i = 0; !result && i < keep->lanes_count; i++) {
        const struct lane_row *lane = &keep->lanes[i];
        result = lane->channel ? registry_put_lane(registry, lane)
                               : registry_drop_lane(registry, lane->endpoint, lane->slot);
    }
    return result;
}

static int write_attempts(const struct keep *keep, struct record_statements *records)
{
    int result = 0;
    for (size_t i = 0; !result && i < keep->attempts.count; i++)
        result = record_add(records, &keep->attempts.all[i]);
    if (!result && keep->prune)
        result = record_prune(records, keep->prune_before_us, keep->prune_rows, PRUNE_MOST);
    return result;
}

static int write_keep(struct keeper_job *job, struct registry *registry)
{
    const struct keep *keep = container_of(job, struct keep, job);
    int result = registry_begin(registry);
    registry_note_lanes(registry, result);
    if (result)
        return result;
    for (size_t i = 0; !result && i < keep->rows_count; i++)
        result = registry_progress(registry, &keep->rows[i].row);
    result = result ? result : write_lanes(keep, registry);
    result = result ? result : write_attempts(keep, registry_records(registry));
    result = registry_commit(registry, result);
    registry_note_lanes(registry, result);
    return result;
}

/* ---- handing over ---------------------------------------------------------------------------- */

static void keep_free(struct keep *keep)
{
    arena_free(&keep->arena);
    free(keep->rows);
    free(keep->lanes);
    free(keep->attempts.all);
    free(keep);
}

void keep_discard(struct courier *courier)
{
    keep_free(courier->keep);
    courier->keep = NULL;
}

/* Lets the endpoints of the bundle send more requests: their stored progress no longer counts as
 * open. */
static void release(struct courier *courier, const struct keep *keep)
{
    for (size_t i = 0; i < keep->rows_count; i++) {
        struct endpoint *endpoint = endpoint_find(courier, keep->rows[i].row.id);
        if (!endpoint)
            continue;
        endpoint->keeping -= keep->rows[i].accepted;
        if (keep->rows[i].accepted) /* most rows only move a cursor, a thousand at a time */
            endpoint_ready(endpoint);
    }
}

/* Nothing was written: all of it is still to be. What was accepted since may have overtaken it, so
 * that everything is gathered anew, but for the rows of lanes that are gone and the attempts. */
static void restore(struct courier *courier, struct keep *keep)
{
    for (size_t i = 0; i < keep->rows_count; i++) {
        struct endpoint *endpoint = endpoint_find(courier, keep->rows[i].row.id);
        if (!endpoint)
            continue;
        list_each (&endpoint->lanes, node)
            lane_changed(container_of(node, struct lane, node));
        endpoint_changed(endpoint);
    }
    for (size_t i = 0; i < keep->lanes_count; i++)
        if (!keep->lanes[i].channel)
            *add_lane(gathering(courier)) = keep->lanes[i];
    for (size_t i = 0; i < keep->attempts.count; i++)
        if (keep->attempts.all[i].state != RECORD_DELIVERED && i < AGAIN_MOST)
            keep_attempt(courier, &keep->attempts.all[i]);
}

static void keep_done(struct mail *mail, void *owner)
{
    struct keep *keep = container_of(mail, struct keep, job.mail);
    struct courier *courier = owner;
    int result = keep->job.result;
    courier->jobs--;
    courier->keeping--;
    courier->keep_fails = result != 0;
    if (result) {
        /* Deliveries go on: what is not kept is, after a crash, delivered again. */
        say(SAY_WARN, "webhooks_not_kept", "error=%d", -result);
        restore(courier, keep);
        courier->keep_at_ns =
            clock_now_ns(courier->config.clock) + KEEP_AGAIN_MS * INT64_C(1000000);
    }
    release(courier, keep);
    keep_free(keep);
}

static void take_lanes(struct keep *keep, struct endpoint *endpoint)
{
    for (struct list *node; (node = list_take_first(&endpoint->lanes_changed));) {
        struct lane *lane = container_of(node, struct lane, changed);
        struct lane_row *row = add_lane(keep);
        struct str channel = str_from(lane->row.channel);
        char *copy = arena_alloc(&keep->arena, channel.len + 1);
        if (!copy)
            abort();
        memcpy(copy, channel.at, channel.len + 1);
        *row = lane->row;
        row->channel = copy;
        lane->kept = true;
    }
}

static void take_endpoints(struct courier *courier, struct keep *keep)
{
    size_t cap = 0;
    for (struct list *node; (node = list_take_first(&courier->changed));) {
        struct endpoint *endpoint = container_of(node, struct endpoint, changed);
        keep->rows = grow(keep->rows, keep->rows_count, &cap, sizeof(*keep->rows));
        struct kept_row *kept = &keep->rows[keep->rows_count++];
        *kept = (struct kept_row){.row = endpoint->row, .accepted = endpoint->unkept};
        kept->row.cursor = endpoint_scanned(endpoint);
        take_lanes(keep, endpoint);
        endpoint->keeping += endpoint->unkept;
        endpoint->unkept = 0;
    }
}

static void set_prune(struct courier *courier, struct keep *keep)
{
    int64_t now_ns = clock_now_ns(courier->config.clock);
    if (now_ns < courier->prune_at_ns)
        return;
    courier->prune_at_ns = now_ns + PRUNE_MS * INT64_C(1000000);
    keep->prune = true;
    keep->prune_before_us = courier_now_us(courier) - courier->config.records_age_us;
    keep->prune_rows = courier->config.records_max;
}

void courier_submit_job(struct courier *courier, struct keeper_job *job)
{
    job->reply = &courier->loop.mailbox;
    courier->jobs++;
    keeper_submit(courier->keeper, job);
}

/* At once if somebody waits, unless it has just failed. */
int64_t courier_keep_at(const struct courier *courier)
{
    if (!courier->keep || courier->keeping)
        return 0;
    return courier->keep_urgent && !courier->keep_fails ? 1 : courier->keep_at_ns;
}

void courier_keep(struct courier *courier, bool now)
{
    struct keep *keep = courier->keep;
    if (!keep)
        return;
    if (!now &&
        (courier->keeping || clock_now_ns(courier->config.clock) < courier_keep_at(courier)))
        return;
    courier->keep = NULL;
    courier->keep_urgent = false;
    courier->keep_at_ns = 0;
    courier->keeping++;
    take_endpoints(courier, keep);
    set_prune(courier, keep);
    keep->job = (struct keeper_job){.run = write_keep, .mail = {NULL, keep_done}};
    courier_submit_job(courier, &keep->job);
}

void endpoints_settle(struct courier *courier)
{
    list_each (&courier->endpoints, node) {
        struct endpoint *endpoint = container_of(node, struct endpoint, node);
        uint64_t cursor = endpoint_scanned(endpoint);
        if (cursor == endpoint->row.cursor)
            continue;
        endpoint->row.cursor = cursor;
        endpoint_changed(endpoint);
    }
}
