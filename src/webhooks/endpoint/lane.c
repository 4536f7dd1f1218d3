#include "webhooks/endpoint/lane.h"

#include "webhooks/endpoint/saving.h"

#include <assert.h>
#include <stdlib.h>

/* ---- states ---------------------------------------------------------------------------------- */

#define TO(state) (1U << (state))

static const struct {
    const char *name;
    unsigned to;
} states[LANE_STATES] = {
    [LANE_IDLE] = {"idle", TO(LANE_WAITING) | TO(LANE_DUE) | TO(LANE_OVER)},
    [LANE_WAITING] = {"waiting", TO(LANE_IDLE) | TO(LANE_OVER)},
    [LANE_DUE] = {"due", TO(LANE_IDLE) | TO(LANE_READING) | TO(LANE_SENDING) | TO(LANE_OVER)},
    [LANE_READING] = {"reading", TO(LANE_IDLE)},
    [LANE_SENDING] = {"sending", TO(LANE_IDLE) | TO(LANE_LEAVING)},
    [LANE_LEAVING] = {"leaving", TO(LANE_OVER)},
    [LANE_OVER] = {"over", 0},
};

const char *lane_state_name(enum lane_state state)
{
    return states[state].name;
}

bool lane_may_move(enum lane_state from, enum lane_state to)
{
    return states[from].to & TO(to);
}

static void leave_state(struct lane *lane)
{
    if (lane->state == LANE_WAITING) {
        timer_stop(&lane->retry);
    } else if (lane->state == LANE_DUE) {
        list_remove(&lane->due);
        lane->endpoint->lanes.due_count--;
    } else if (lane->state == LANE_LEAVING) {
        lane->endpoint->scan.leaving--;
    }
}

static void enter_state(struct lane *lane)
{
    if (lane->state == LANE_DUE) {
        list_add_last(&lane->endpoint->lanes.due, &lane->due);
        lane->endpoint->lanes.due_count++;
        endpoint_ready(lane->endpoint);
    } else if (lane->state == LANE_LEAVING) {
        lane->endpoint->scan.leaving++;
    }
}

void lane_move(struct lane *lane, enum lane_state to)
{
    assert(lane_may_move(lane->state, to));
    leave_state(lane);
    lane->state = to;
    enter_state(lane);
}

/* ---- making and freeing ---------------------------------------------------------------------- */

static void ring_retry(struct timer *timer)
{
    lane_step_or_free(container_of(timer, struct lane, retry));
}

static struct lane *make(struct endpoint *endpoint, enum lane_kind kind)
{
    struct lane *lane = mem_alloc(sizeof(*lane));
    *lane = (struct lane){.endpoint = endpoint, .kind = kind, .retry = {.ring = ring_retry}};
    list_init(&lane->queue);
    list_add_last(&endpoint->lanes.all, &lane->node);
    endpoint->lanes.count++;
    endpoint->resends.lanes += kind == LANE_RESEND;
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
    if (lane_is_by_channel(lane))
        map_add(&endpoint->lanes.by_channel, &lane->in_map, channel);
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
    lane->saved = true;
    lane->count = lane->kind == LANE_RANGE;
    endpoint->lanes.misfits |= !fits;
    if (lane_is_by_channel(lane) && fits)
        map_add(&endpoint->lanes.by_channel, &lane->in_map, str_from(row->channel));
    return lane;
}

static void count_in(struct lane *lane, const struct pending *pending)
{
    lane->queued++;
    lane->endpoint->lanes.queued++;
    lane->endpoint->lanes.queued_bytes += pending_bytes(pending);
    lane->endpoint->courier->queued_bytes += pending_bytes(pending);
}

static void count_out(struct lane *lane, const struct pending *pending)
{
    lane->queued--;
    lane->endpoint->lanes.queued--;
    lane->endpoint->lanes.queued_bytes -= pending_bytes(pending);
    lane->endpoint->courier->queued_bytes -= pending_bytes(pending);
}

static void free_queue(struct lane *lane)
{
    list_each (&lane->queue, node) {
        struct pending *pending = container_of(node, struct pending, node);
        count_out(lane, pending);
        pending_free(pending);
    }
}

/* Removes the lane from the map of channels, or as the endpoint's gap. */
static void forget_name(struct lane *lane)
{
    struct endpoint *endpoint = lane->endpoint;
    if (lane_is_by_channel(lane) && lane_find(endpoint, str_from(lane->row.channel)) == lane)
        map_remove(&endpoint->lanes.by_channel, &lane->in_map);
    if (endpoint->scan.gap == lane)
        endpoint->scan.gap = NULL;
}

void lane_free(struct lane *lane)
{
    struct endpoint *endpoint = lane->endpoint;
    assert(!lane->reading && !lane->attempt);
    lane_move(lane, LANE_OVER);
    if (lane->saved)
        lane_forgotten(lane);
    free_queue(lane);
    list_remove(&lane->node);
    list_remove(&lane->changed);
    forget_name(lane);
    endpoint->lanes.count--;
    endpoint->resends.lanes -= lane->kind == LANE_RESEND;
    buf_free(&lane->bytes);
    free(lane->row.channel);
    free(lane);
}

struct lane *lane_find(const struct endpoint *endpoint, struct str channel)
{
    struct map_node *node = map_find(&endpoint->lanes.by_channel, channel);
    return node ? container_of(node, struct lane, in_map) : NULL;
}

uint64_t endpoint_cursor(const struct endpoint *endpoint)
{
    uint64_t cursor = endpoint_scanned(endpoint);
    list_each (&endpoint->lanes.all, node) {
        const struct lane *lane = container_of(node, struct lane, node);
        if (lane->kind != LANE_RESEND && lane->kind != LANE_GAP && lane->row.after < cursor)
            cursor = lane->row.after;
    }
    return cursor;
}

/* ---- the queue ------------------------------------------------------------------------------- */

bool lane_add(struct lane *lane, const struct event *event, struct chunk *chunk,
              struct batch *batch)
{
    struct pending *pending = pending_new(event, chunk, batch);
    if (!pending)
        return false;
    list_add_last(&lane->queue, &pending->node);
    count_in(lane, pending);
    return true;
}

struct pending *lane_take_first(struct lane *lane, struct list *events)
{
    struct pending *pending = pending_move_first(&lane->queue, events);
    count_out(lane, pending);
    return pending;
}

void lane_put_back(struct lane *lane, struct list *events)
{
    list_each (events, node)
        count_in(lane, container_of(node, struct pending, node));
    list_take_all(events, &lane->queue);
    list_take_all(&lane->queue, events);
}

void lane_drop_queue(struct lane *lane)
{
    if (lane->kind == LANE_RESEND || !lane->queued)
        return;
    free_queue(lane);
    lane->behind = true;
}

bool lane_is_tried(const struct lane *lane)
{
    return !endpoint_circuit_open(lane->endpoint) || lane->kind == LANE_RESEND ||
           lane->row.failures || lane->probing;
}

void lane_drop_queue_if_not_tried(struct lane *lane)
{
    if (!lane_is_tried(lane))
        lane_drop_queue(lane);
}

bool lane_front_is_looped(const struct lane *lane)
{
    const struct event *first = pending_first(&lane->queue);
    return first && lane->kind != LANE_RESEND &&
           first->hops >= lane->endpoint->courier->config.hops_max;
}

uint32_t lane_most(const struct lane *lane)
{
    uint32_t batch = lane->endpoint->row.options.batch;
    if (lane->kind == LANE_RANGE || lane->kind == LANE_RESEND)
        return batch ? UINT32_MAX : 1; /* pages may have been switched off since */
    return lane->kind == LANE_ALL && batch ? batch : 1;
}

/* ---- steps ----------------------------------------------------------------------------------- */

/* How long the lane must wait; 0 if it may continue now. */
static int64_t wait_ms(struct lane *lane)
{
    if (!lane->row.next_us || lane->probing)
        return 0;
    int64_t wait_ms = (lane->row.next_us - courier_now_us(lane->endpoint->courier)) / 1000;
    if (wait_ms <= 0)
        return 0;
    /* The wall clock may have been set back since. */
    return wait_ms < 2 * SCHEDULE_DAY_MS ? wait_ms : 2 * SCHEDULE_DAY_MS;
}

static void wait(struct lane *lane, int64_t ms)
{
    lane_move(lane, LANE_WAITING);
    timer_set(&lane->endpoint->courier->loop, &lane->retry, ms);
}

void lane_step_or_free(struct lane *lane)
{
    if (lane->state == LANE_WAITING)
        lane_move(lane, LANE_IDLE);
    if (lane->state != LANE_IDLE)
        return;
    int64_t ms = wait_ms(lane);
    if (ms) {
        wait(lane, ms);
    } else if (lane_has_gap(lane) || lane->queued || lane->behind) {
        lane_move(lane, LANE_DUE);
    } else {
        endpoint_ready(lane->endpoint);
        lane_free(lane);
    }
}

void lane_try_later(struct lane *lane)
{
    wait(lane, LANE_BUSY_MS);
}

void lane_hurry(struct lane *lane)
{
    if (!lane->row.next_us)
        return;
    lane->row.next_us = 0;
    lane_changed(lane);
    /* A lane that waits for its turn is not over: do not free it here. */
    lane_step_or_free(lane);
}

void lane_leave(struct lane *lane, bool again)
{
    lane->again |= again;
    if (lane->state == LANE_LEAVING)
        return;
    if (lane->saved)
        lane_forgotten(lane);
    lane->saved = false;
    lane_move(lane, LANE_LEAVING);
    free_queue(lane);
    list_remove(&lane->changed);
    forget_name(lane);
}

/* ---- lanes from disk ------------------------------------------------------------------------- */

bool lane_row_fits(const struct endpoint *endpoint, const struct lane_row *row)
{
    const struct endpoint_options *options = &endpoint->row.options;
    if (!options->ordered)
        return !*row->channel && row->upto > row->after;
    return (*row->channel == 0) == (options->batch > 0) &&
           !lane_find(endpoint, str_from(row->channel));
}
