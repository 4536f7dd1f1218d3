/* Lanes: what is not settled although the scan is beyond it.
 *
 * A lane is a queue of events with one step at a time: it waits, is due, reads what it lacks from
 * the log, or sends. This file holds the lane and its state; the steps themselves are taken by
 * delivery/reading.c and delivery/attempt.c, once delivery/dispatch.c lets them.
 *
 *                  ┌───────────────────────── idle ◀──────────────┐
 *                  │                 lane_step_or_free()          │ the step has ended
 *                  ▼                          ▼                   │
 *     over ◀── waiting ── timer rings ──▶   due ──▶ reading or sending
 *                                                            │ its options are no more
 *                                                            ▼
 *                                                         leaving ──▶ over
 *
 * The moves that may be made are a table in lane.c; any other ends the program. */
#pragma once

#include "webhooks/endpoint/endpoint.h"
#include "webhooks/wire/pending.h"

enum {
    LANES_MAX = 1000,       /* of an endpoint; with more, its scan waits */
    QUEUE_MAX = 64,         /* events in a lane's queue */
    QUEUED_MAX = 1024,      /* of an endpoint */
    QUEUED_BYTES = 4 << 20, /* bytes of these events; the last may exceed the bound */
    LANE_BUSY_MS = 1000,    /* pause before a step that lacked memory is repeated */
};

enum lane_kind {
    LANE_CHANNEL, /* all events of a channel above `after` */
    LANE_ALL,     /* all events above `after`: pages in order */
    LANE_RANGE,   /* events in (after, upto], in several requests if need be */
    LANE_GAP,     /* a gap, delivered before the scan continues; not saved */
    LANE_RESEND,  /* a resend; not saved */
};

enum lane_state {
    LANE_IDLE,    /* its next step is not chosen yet */
    LANE_WAITING, /* until the timer `retry` rings */
    LANE_DUE,     /* for its turn: in endpoint->lanes.all.due */
    LANE_READING, /* events from the log: `reading` */
    LANE_SENDING, /* `attempt` */
    LANE_LEAVING, /* sending, but without a row; ends with the request: see anew.h */
    LANE_OVER,    /* nothing is left: it is being freed */
    LANE_STATES,
};

struct lane {
    struct map_node in_map; /* in endpoint->lanes.by_channel, for LANE_CHANNEL and LANE_ALL */
    struct list node;       /* in endpoint->lanes.all */
    struct list due;        /* in endpoint->lanes.due */
    struct list changed;    /* in endpoint->lanes.changed */
    struct endpoint *endpoint;
    enum lane_kind kind;
    enum lane_state state; /* changed by lane_move() alone */
    struct lane_row row;
    uint64_t newest;     /* the newest of its events that the scan has passed */
    uint64_t trimmed;    /* the end of a gap that must be delivered; 0 for none */
    const char *reason;  /* for that gap */
    uint64_t gap_cursor; /* position behind which the scan (LANE_GAP) or the lane continues; 0 while
                            its queue has events */
    struct list queue;   /* of struct pending */
    struct buf bytes;    /* LANE_RESEND: what these point into */
    /* LANE_RESEND: the delivery's state unless it is accepted now */
    enum delivery_state resend_state;
    uint32_t queued;
    uint32_t count; /* LANE_RANGE: its events */
    bool behind;    /* the log has more events for it than the queue, up to `newest` */
    bool closed;    /* LANE_RANGE: takes no further events */
    bool saved;     /* has a row on disk, or will have one */
    bool exhausted; /* exhaustion was reported */
    bool probing;   /* the current request is a probe */
    bool again;     /* is leaving, and its events are delivered again */
    struct reading *reading;
    struct attempt *attempt;
    struct timer retry;
};

/* ---- making and freeing ---------------------------------------------------------------------- */

/* Makes an idle lane of the endpoint, which owns it; the channel's name is copied. */
struct lane *lane_new(struct endpoint *endpoint, enum lane_kind kind, struct str channel);
/* Makes a lane from a row on disk; takes the row's text over. */
struct lane *lane_restore(struct endpoint *endpoint, struct lane_row *row);
/* Frees a lane that neither reads nor sends. Its row is deleted, too. */
void lane_free(struct lane *lane);
struct lane *lane_find(const struct endpoint *endpoint, struct str channel);

/* The position up to which all events are settled: the scan's, or that of the lane furthest behind.
 */
uint64_t endpoint_cursor(const struct endpoint *endpoint);

/* ---- state ----------------------------------------------------------------------------------- */

/* Whether the table allows the move. */
bool lane_may_move(enum lane_state from, enum lane_state to);
/* Moves the lane to another state. Ends the program if the table does not allow the move. */
void lane_move(struct lane *lane, enum lane_state to);
const char *lane_state_name(enum lane_state state);

/* Chooses the next step of an idle or waiting lane: to wait, to be due, or to be freed if nothing
 * is left. Lanes in other states stay as they are. */
void lane_step_or_free(struct lane *lane);
/* Repeats the step of an idle lane in LANE_BUSY_MS. */
void lane_try_later(struct lane *lane);
/* Ends the lane's wait. */
void lane_hurry(struct lane *lane);
/* Makes a sending lane leave: it is no longer found or saved, and ends with its attempt. */
void lane_leave(struct lane *lane, bool again);

/* Whether the lane may be tried. While everything fails, new lanes wait, and failed lanes are tried
 * one by one. */
bool lane_is_tried(const struct lane *lane);

/* Whether the next delivery is a gap. If the log lost its newest events, the gap may end at 0:
 * nothing was trimmed. */
static inline bool lane_has_gap(const struct lane *lane)
{
    return lane->kind == LANE_GAP || lane->trimmed;
}

/* Whether the lane is saved on disk. Gaps, resends and leaving lanes are not. */
static inline bool lane_has_row(const struct lane *lane)
{
    return lane->kind != LANE_GAP && lane->kind != LANE_RESEND && lane->state != LANE_LEAVING;
}

static inline bool lane_is_by_channel(const struct lane *lane)
{
    return lane->kind == LANE_CHANNEL || lane->kind == LANE_ALL;
}

/* ---- the queue ------------------------------------------------------------------------------- */

/* Adds an event to the end of the queue. False if there is no memory. */
bool lane_add(struct lane *lane, const struct event *event, struct chunk *chunk,
              struct batch *batch);
/* Moves the first event to the end of `events`, and returns it. */
struct pending *lane_take_first(struct lane *lane, struct list *events);
/* Puts events back at the front of the queue. */
void lane_put_back(struct lane *lane, struct list *events);
/* Drops the queue; its events will be read from the log again. Not for a resend. */
void lane_drop_queue(struct lane *lane);
/* Drops the queue of a lane that is not tried: nothing would empty it, and other lanes need the
 * room. */
void lane_drop_queue_if_not_tried(struct lane *lane);
/* Whether the first event has had too many hops. Never in a resend. */
bool lane_front_is_looped(const struct lane *lane);
/* The number of events for its next request. */
uint32_t lane_most(const struct lane *lane);

/* ---- lanes from disk ------------------------------------------------------------------------- */

/* Whether a lane from disk is of a kind that the endpoint's options produce. */
bool lane_row_fits(const struct endpoint *endpoint, const struct lane_row *row);
