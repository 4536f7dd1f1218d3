/* Lanes: what is not settled although the scan is beyond it. */
#include "webhooks/endpoint/endpoint.h"

#include "base/say.h"
#include "log/fetch.h"

#include <errno.h>
#include <stdlib.h>

enum { BUSY_MS = 1000, BYTES_A_READ = 64 << 10, BYTES_A_LETTER = 1 << 20 };

/* ---- making and freeing ---------------------------------------------------------------------- */

static bool is_by_channel(const struct lane *lane)
{
    return lane->kind == LANE_CHANNEL || lane->kind == LANE_ALL;
}

static bool is_kept(const struct lane *lane)
{
    return lane->kind != LANE_GAP && lane->kind != LANE_LETTER && !lane->leaves;
}

static void ring_retry(struct timer *timer)
{
    lane_look(container_of(timer, struct lane, retry));
}

static struct lane *make(struct endpoint *endpoint, enum lane_kind kind)
{
    struct lane *lane = mem_alloc(sizeof(*lane));
    *lane = (struct lane){.endpoint = endpoint, .kind = kind, .retry = {.ring = ring_retry}};
    list_init(&lane->queue);
    list_add_last(&endpoint->lanes, &lane->node);
    endpoint->lanes_count++;
    endpoint->letter_lanes += kind == LANE_LETTER;
    return lane;
}

struct lane *lane_new(struct endpoint *endpoint, enum lane_kind kind, struct str channel)
{
    struct lane *lane = make(endpoint, kind);
    lane->row.endpoint = endpoint->row.number;
    lane->row.slot = endpoint->courier->next_slot++;
    lane->row.channel = mem_alloc(channel.len + 1);
    if (channel.len)
        memcpy(lane->row.channel, channel.at, channel.len);
    if (is_by_channel(lane))
        map_add(&endpoint->by_channel, &lane->in_map, channel);
    if (is_kept(lane))
        lane_changed(lane);
    return lane;
}

struct lane *lane_restore(struct endpoint *endpoint, struct lane_row *row)
{
    const struct endpoint_options *options = &endpoint->row.options;
    bool fits = lane_row_fits(endpoint, row);
    struct lane *lane = make(endpoint, !options->ordered ? LANE_RANGE
                                       : options->batch  ? LANE_ALL
                                                         : LANE_CHANNEL);
    lane->row = *row;
    lane->newest = endpoint->row.cursor;
    lane->behind = true;
    lane->kept = true;
    lane->count = lane->kind == LANE_RANGE;
    endpoint->misfits |= !fits;
    if (is_by_channel(lane) && fits)
        map_add(&endpoint->by_channel, &lane->in_map, str_from(row->channel));
    return lane;
}

void owed_free(struct owed *owed)
{
    list_remove(&owed->node);
    chunk_unref(owed->chunk);
    batch_unref(owed->batch);
    free(owed);
}

static size_t bytes_of(const struct owed *owed)
{
    return sizeof(*owed) + owed->event.data.len;
}

void lane_queued(struct lane *lane, const struct owed *owed)
{
    lane->queued++;
    lane->endpoint->queued++;
    lane->endpoint->queued_bytes += bytes_of(owed);
    lane->endpoint->courier->queued_bytes += bytes_of(owed);
}

void lane_unqueued(struct lane *lane, const struct owed *owed)
{
    lane->queued--;
    lane->endpoint->queued--;
    lane->endpoint->queued_bytes -= bytes_of(owed);
    lane->endpoint->courier->queued_bytes -= bytes_of(owed);
}

static void free_queue(struct lane *lane)
{
    list_each (&lane->queue, node) {
        struct owed *owed = container_of(node, struct owed, node);
        lane_unqueued(lane, owed);
        owed_free(owed);
    }
}

static void forget_read(struct lane *lane);

/* Removes the lane from where it is found: by its channel, or as the endpoint's gap. */
static void forget_name(struct lane *lane)
{
    struct endpoint *endpoint = lane->endpoint;
    if (is_by_channel(lane) && lane_find(endpoint, str_from(lane->row.channel)) == lane)
        map_remove(&endpoint->by_channel, &lane->in_map);
    if (endpoint->gap == lane)
        endpoint->gap = NULL;
}

void lane_leave(struct lane *lane, bool again)
{
    lane->again |= again;
    if (lane->leaves)
        return;
    if (lane->kept)
        lane_forgotten(lane);
    lane->kept = false;
    lane->leaves = true;
    lane->endpoint->leaving++;
    free_queue(lane);
    list_remove(&lane->changed);
    forget_name(lane);
}

void lane_free(struct lane *lane)
{
    struct endpoint *endpoint = lane->endpoint;
    if (lane->kept)
        lane_forgotten(lane);
    forget_read(lane);
    flight_free(lane->flight);
    free_queue(lane);
    timer_stop(&lane->retry);
    list_remove(&lane->node);
    lane_not_due(lane);
    list_remove(&lane->changed);
    forget_name(lane);
    endpoint->leaving -= lane->leaves;
    endpoint->lanes_count--;
    endpoint->letter_lanes -= lane->kind == LANE_LETTER;
    buf_free(&lane->bytes);
    free(lane->row.channel);
    free(lane);
}

struct lane *lane_find(const struct endpoint *endpoint, struct str channel)
{
    struct map_node *node = map_find(&endpoint->by_channel, channel);
    return node ? container_of(node, struct lane, in_map) : NULL;
}

/* ---- the queue ------------------------------------------------------------------------------- */

bool lane_add(struct lane *lane, const struct event *event, struct chunk *chunk,
              struct batch *batch)
{
    struct owed *owed = mem_try_alloc(sizeof(*owed));
    if (!owed)
        return false;
    *owed = (struct owed){.event = *event,
                          .chunk = chunk ? chunk_ref(chunk) : NULL,
                          .batch = batch ? batch_ref(batch) : NULL};
    list_add_last(&lane->queue, &owed->node);
    lane_queued(lane, owed);
    return true;
}

void lane_drop_queue(struct lane *lane)
{
    if (lane->kind == LANE_LETTER || !lane->queued)
        return;
    free_queue(lane);
    lane->behind = true;
}

bool lane_is_tried(const struct lane *lane)
{
    return !endpoint_circuit_open(lane->endpoint) || lane->kind == LANE_LETTER ||
           lane->row.failures || lane->probing;
}

void lane_wait(struct lane *lane)
{
    if (!lane_is_tried(lane))
        lane_drop_queue(lane);
}

/* ---- what it can do -------------------------------------------------------------------------- */

static void queue_up(struct lane *lane)
{
    list_add_last(&lane->endpoint->due, &lane->due);
    lane->endpoint->due_count++;
    endpoint_ready(lane->endpoint);
}

void lane_not_due(struct lane *lane)
{
    if (!list_linked(&lane->due))
        return;
    list_remove(&lane->due);
    lane->endpoint->due_count--;
}

void lane_look(struct lane *lane)
{
    struct courier *courier = lane->endpoint->courier;
    if (lane->flight || lane->read || list_linked(&lane->due))
        return;
    int64_t wait_ms = (lane->row.next_us - courier_now_us(courier)) / 1000;
    timer_stop(&lane->retry);
    if (lane->row.next_us && wait_ms > 0 && !lane->probing)
        /* The wall clock may have been put back meanwhile. */
        timer_set(&courier->loop, &lane->retry,
                  wait_ms < 2 * SCHEDULE_DAY_MS ? wait_ms : 2 * SCHEDULE_DAY_MS);
    else if (lane->trimmed || lane->queued || lane->behind)
        queue_up(lane);
    else {
        endpoint_ready(lane->endpoint);
        lane_free(lane);
    }
}

void lane_hurry(struct lane *lane)
{
    if (!lane->row.next_us)
        return;
    lane->row.next_us = 0;
    if (is_kept(lane))
        lane_changed(lane);
    lane_look(lane);
}

/* ---- reading --------------------------------------------------------------------------------- */

struct lane_read {
    struct log_fetch fetch;
    struct courier *courier;
    struct lane *lane; /* NULL once it is gone */
};

static void forget_read(struct lane *lane)
{
    if (!lane->read)
        return;
    lane->read->lane = NULL;
    question_drop(&lane->read->fetch.question);
    lane->read = NULL;
    lane->endpoint->reads--;
}

static void try_later(struct lane *lane)
{
    timer_set(&lane->endpoint->courier->loop, &lane->retry, BUSY_MS);
}

/* Nothing of it is left in the log. */
static void found_nothing(struct lane *lane, const struct lane_read *read)
{
    if (is_by_channel(lane)) {
        lane->row.after = read->fetch.through;
        lane->row.upto = 0;
        lane_changed(lane);
    } else if (read->fetch.through >= lane->row.upto && lane->kind == LANE_LETTER) {
        lane->behind = false;
    } else if (read->fetch.through >= lane->row.upto) {
        lane->behind = false;
        lane->trimmed = lane->row.upto;
        lane->reason = log_gap_reason(read->courier->config.log, lane->trimmed);
    } else {
        lane->row.after = read->fetch.through; /* the read's bound of rows ended it */
        lane_changed(lane);
    }
}

static bool take_events(struct lane *lane, const struct lane_read *read)
{
    struct batch *batch = read->fetch.batch;
    for (uint32_t i = 0; batch && i < batch->count; i++) {
        const struct event *event = &batch->events[i];
        if (event->state == EVENT_APPENDED && !lane_add(lane, event, NULL, batch))
            return false;
    }
    return true;
}

/* Whether there is a gap before the events that were read. The gap is delivered first, and the
 * events are kept meanwhile: if they were read again later, a receiver slower than retention would
 * get only gaps. */
static bool has_gap(struct lane *lane, const struct lane_read *read)
{
    uint64_t known = lane->row.told > lane->row.after ? lane->row.told : lane->row.after;
    if (!is_by_channel(lane))
        return false;
    uint64_t trimmed = log_trimmed(read->courier->config.log, read->fetch.selection);
    if (trimmed <= known || known >= lane->newest)
        return false;
    lane->trimmed = trimmed;
    lane->reason = log_gap_reason(read->courier->config.log, trimmed);
    lane->gap_cursor = lane->queued ? 0 : read->fetch.through;
    return true;
}

static void take_read(struct lane *lane, const struct lane_read *read)
{
    if (read->fetch.error || read->fetch.question.job.cancelled || !take_events(lane, read)) {
        lane_drop_queue(lane);
        try_later(lane);
        return;
    }
    lane->behind = is_by_channel(lane) ? lane->newest > read->fetch.through
                                       : lane->row.upto > read->fetch.through;
    if (!has_gap(lane, read) && !lane->queued)
        found_nothing(lane, read);
    lane_wait(lane);
    lane_look(lane);
}

static void read_done(struct log_fetch *fetch)
{
    struct lane_read *read = container_of(fetch, struct lane_read, fetch);
    struct lane *lane = read->lane;
    if (lane) {
        lane->read = NULL;
        lane->endpoint->reads--;
        take_read(lane, read);
    }
    if (read->fetch.error)
        say(SAY_WARN, "read_failed", "error=%d", -read->fetch.error);
    log_fetch_deinit(&read->fetch);
    question_end(&read->fetch.question);
    free(read);
}

static struct selection *selection_of(const struct lane *lane)
{
    const struct selection *all = lane->endpoint->selection;
    struct str channel = str_from(lane->row.channel);
    if (lane->kind != LANE_CHANNEL)
        return selection_ref(lane->endpoint->selection);
    return selection_new(&channel, 1, all->types, all->types_count, NULL);
}

static uint32_t limit_of(const struct lane *lane)
{
    uint32_t batch = lane->endpoint->row.options.batch;
    if (batch)
        return batch;
    return lane->row.failures ? 1 : QUEUE_MAX;
}

static void start_read(struct lane *lane, struct selection *selection)
{
    struct courier *courier = lane->endpoint->courier;
    struct lane_read *read = mem_alloc(sizeof(*read));
    uint64_t upto = lane->row.upto ? lane->row.upto : lane->newest;
    struct store_query query = {.after = lane->row.after,
                                .upto = upto,
                                .limit = limit_of(lane),
                                .bytes = lane->kind == LANE_LETTER ? BYTES_A_LETTER : BYTES_A_READ,
                                .rows = LOG_READ_ROWS};
    *read = (struct lane_read){.courier = courier, .lane = lane};
    log_fetch_init(&read->fetch, &courier->asker, selection, &query, read_done);
    selection_unref(selection);
    lane->read = read;
    lane->closed = true; /* later events have lanes of their own */
    lane->endpoint->reads++;
    question_ask(&read->fetch.question);
}

void lane_read(struct lane *lane)
{
    struct selection *selection = selection_of(lane);
    if (!selection) {
        try_later(lane);
    } else {
        start_read(lane, selection);
    }
}
