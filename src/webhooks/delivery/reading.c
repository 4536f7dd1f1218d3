#include "webhooks/delivery/reading.h"

#include "base/say.h"
#include "log/fetch.h"
#include "webhooks/endpoint/saving.h"

#include <stdlib.h>

enum { BYTES_A_READ = 64 << 10, BYTES_A_RESEND = 1 << 20 };

struct reading {
    struct log_fetch fetch;
    struct courier *courier;
    struct lane *lane; /* NULL once it is gone */
};

/* Ends the lane's reading: the lane is idle again. */
static struct lane *leave(struct reading *reading)
{
    struct lane *lane = reading->lane;
    reading->lane = NULL;
    lane->reading = NULL;
    lane->endpoint->lanes.reading--;
    lane_move(lane, LANE_IDLE);
    return lane;
}

void reading_stop(struct lane *lane)
{
    if (!lane->reading)
        return;
    question_drop(&lane->reading->fetch.question);
    (void)leave(lane->reading);
}

/* ---- the events that came -------------------------------------------------------------------- */

/* Drops the failed delivery before the gap: the gap becomes a delivery of its own, and so do the
 * events after it. */
static void begin_gap(struct lane *lane, uint64_t trimmed)
{
    struct courier *courier = lane->endpoint->courier;
    lane->trimmed = trimmed;
    lane->reason = log_gap_reason(courier->config.log, trimmed);
    if (lane->row.n)
        save_skipped(courier, lane->row.n);
    lane->row.n = lane->row.attempts = 0;
    lane_changed(lane);
}

/* Handles a range whose events are no longer in the log. */
static void found_nothing(struct lane *lane, const struct reading *reading)
{
    if (lane_is_by_channel(lane)) {
        lane->row.after = reading->fetch.through;
        lane->row.upto = 0;
        lane_changed(lane);
    } else if (reading->fetch.through >= lane->row.upto && lane->kind == LANE_RESEND) {
        lane->behind = false;
    } else if (reading->fetch.through >= lane->row.upto) {
        lane->behind = false;
        begin_gap(lane, lane->row.upto);
    } else {
        lane->row.after = reading->fetch.through; /* the read ended at its bound of rows */
        lane_changed(lane);
    }
}

static bool take_events(struct lane *lane, const struct reading *reading)
{
    struct batch *batch = reading->fetch.batch;
    for (uint32_t i = 0; batch && i < batch->count; i++) {
        const struct event *event = &batch->events[i];
        if (event->state == EVENT_APPENDED && !lane_add(lane, event, NULL, batch))
            return false;
    }
    return true;
}

/* Notes a gap before the events that were read, if there is one. The gap is delivered first, and
 * the events are kept meanwhile: if they were read again later, a receiver slower than retention
 * would get only gaps. Returns whether there is a gap. */
static bool note_gap(struct lane *lane, const struct reading *reading)
{
    uint64_t known = lane->row.told > lane->row.after ? lane->row.told : lane->row.after;
    if (!lane_is_by_channel(lane))
        return false;
    uint64_t trimmed = log_trimmed(reading->courier->config.log, reading->fetch.selection);
    if (trimmed <= known || known >= lane->newest)
        return false;
    begin_gap(lane, trimmed);
    lane->gap_cursor = lane->queued ? 0 : reading->fetch.through;
    return true;
}

static void take(struct lane *lane, const struct reading *reading)
{
    if (reading->fetch.error || reading->fetch.question.job.cancelled ||
        !take_events(lane, reading)) {
        lane_drop_queue(lane);
        lane_try_later(lane);
        return;
    }
    lane->behind = lane_is_by_channel(lane) ? lane->newest > reading->fetch.through
                                            : lane->row.upto > reading->fetch.through;
    if (!note_gap(lane, reading) && !lane->queued)
        found_nothing(lane, reading);
    lane_drop_queue_if_not_tried(lane);
    lane_step_or_free(lane);
}

static void read_done(struct log_fetch *fetch)
{
    struct reading *reading = container_of(fetch, struct reading, fetch);
    if (reading->lane)
        take(leave(reading), reading);
    if (reading->fetch.error)
        say(SAY_WARN, "read_failed", "error=%d", -reading->fetch.error);
    log_fetch_deinit(&reading->fetch);
    question_end(&reading->fetch.question);
    free(reading);
}

/* ---- starting -------------------------------------------------------------------------------- */

static struct selection *selection_of(const struct lane *lane)
{
    const struct selection *all = lane->endpoint->made.selection;
    struct str channel = str_from(lane->row.channel);
    if (lane->kind != LANE_CHANNEL)
        return selection_ref(lane->endpoint->made.selection);
    return selection_new(&channel, 1, all->types, all->types_count, NULL);
}

static uint32_t limit_of(const struct lane *lane)
{
    uint32_t batch = lane->endpoint->row.options.batch;
    if (batch)
        return batch;
    return lane->row.failures ? 1 : QUEUE_MAX;
}

static void start(struct lane *lane, struct selection *selection)
{
    struct courier *courier = lane->endpoint->courier;
    struct reading *reading = mem_alloc(sizeof(*reading));
    uint64_t upto = lane->row.upto ? lane->row.upto : lane->newest;
    struct store_query query = {.after = lane->row.after,
                                .upto = upto,
                                .limit = limit_of(lane),
                                .bytes = lane->kind == LANE_RESEND ? BYTES_A_RESEND : BYTES_A_READ,
                                .rows = LOG_READ_ROWS};
    *reading = (struct reading){.courier = courier, .lane = lane};
    log_fetch_init(&reading->fetch, &courier->asker, selection, &query, read_done);
    selection_unref(selection);
    lane_move(lane, LANE_READING);
    lane->reading = reading;
    lane->closed = true; /* events after these have lanes of their own */
    lane->endpoint->lanes.reading++;
    question_ask(&reading->fetch.question);
}

void reading_start(struct lane *lane)
{
    struct selection *selection = selection_of(lane);
    if (selection) {
        start(lane, selection);
    } else {
        lane_move(lane, LANE_IDLE);
        lane_try_later(lane);
    }
}
