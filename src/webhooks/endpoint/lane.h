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
    LANES_MAX = 1000,       /* of an endpoint; when there are more its scan waits */
    QUEUE_MAX = 64,         /* events of a lane in memory */
    QUEUED_MAX = 1024,      /* of an endpoint */
    QUEUED_BYTES = 4 << 20, /* bytes of these events; one more event may exceed it */
    LANE_BUSY_MS = 1000,    /* until a step is tried again that failed for want of memory */
};

enum lane_kind {
    LANE_CHANNEL, /* all events of a channel above `after` */
    LANE_ALL,     /* all events above `after`: pages in order */
    LANE_RANGE,   /* events in (after, upto], in several requests if need be */
    LANE_GAP,     /* no events: a gap to be told before the scan goes on; not saved */
    LANE_RESEND,  /* a delivery that somebody wants sent again; not saved */
};

enum lane_state {
    LANE_IDLE,    /* the next step is not chosen yet */
    LANE_WAITING, /* for a time: `retry` is set */
    LANE_DUE,     /* for its turn: in endpoint->lanes.all.due */
    LANE_READING, /* events from the log: `reading` */
    LANE_SENDING, /* `attempt` */
    LANE_LEAVING, /* the same, but the lane has no row any more and ends with it: see anew.h */
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
    uint64_t newest;                  /* the newest event of it that the scan has passed */
    uint64_t trimmed;                 /* a gap up to there is to be told; 0 for none */
    const char *reason;               /* for that gap */
    uint64_t gap_cursor;              /* where the scan (LANE_GAP) or the lane goes on behind it; a
                                         lane that has events to go on with: 0 */
    struct list queue;                /* of struct pending */
    struct buf bytes;                 /* LANE_RESEND: what these point into */
    enum delivery_state resend_state; /* LANE_RESEND: what it is unless it is accepted */
    uint32_t queued;
    uint32_t count; /* LANE_RANGE: its events */
    bool behind;    /* there is more in the log than in the queue, up to `newest` */
    bool closed;    /* LANE_RANGE: takes no further events */
    bool saved;     /* has a row on disk, or will soon */
    bool exhausted; /* exhaustion was reported */
    bool probing;   /* the current request is a probe */
    bool again;     /* leaving, and what it delivers comes again */
    struct reading *reading;
    struct attempt *attempt;
    struct timer retry;
};

/* ---- making and freeing ---------------------------------------------------------------------- */

struct lane *lane_new(struct endpoint *endpoint, enum lane_kind kind, struct str channel);
/* A lane from disk; takes the row's text over. */
struct lane *lane_restore(struct endpoint *endpoint, struct lane_row *row);
/* Frees a lane without a reading or an attempt. Its row goes, too. */
void lane_free(struct lane *lane);
struct lane *lane_find(const struct endpoint *endpoint, struct str channel);

/* Everything up to there was settled: the scan's position, or that of the lane furthest behind. */
uint64_t endpoint_cursor(const struct endpoint *endpoint);

/* ---- state ----------------------------------------------------------------------------------- */

/* Whether the table has that move. */
bool lane_may_move(enum lane_state from, enum lane_state to);
/* Moves the lane to another state. Ends the program if the table does not have that move. */
void lane_move(struct lane *lane, enum lane_state to);
const char *lane_state_name(enum lane_state state);

/* Chooses the next step of a lane that is idle or waits: to wait, to be due, or, if nothing is
 * left, to be freed. Lanes in other states are left alone. */
void lane_step_or_free(struct lane *lane);
/* An idle lane tries its step again in LANE_BUSY_MS. */
void lane_try_later(struct lane *lane);
/* Ends the lane's wait. */
void lane_hurry(struct lane *lane);
/* For a lane that is sending: it is no longer found or saved, and ends with its attempt. */
void lane_leave(struct lane *lane, bool again);

/* Whether the lane is among those that are tried. While everything fails, new lanes wait, and
 * failed lanes are tried one by one. */
bool lane_is_tried(const struct lane *lane);

/* Whether a gap is to be told next. That of a log which lost its newest events may end at 0:
 * nothing was ever trimmed. */
static inline bool lane_has_gap(const struct lane *lane)
{
    return lane->kind == LANE_GAP || lane->trimmed;
}

/* Whether the lane is saved: neither are gaps, resends and lanes that leave. */
static inline bool lane_has_row(const struct lane *lane)
{
    return lane->kind != LANE_GAP && lane->kind != LANE_RESEND && lane->state != LANE_LEAVING;
}

static inline bool lane_is_by_channel(const struct lane *lane)
{
    return lane->kind == LANE_CHANNEL || lane->kind == LANE_ALL;
}

/* ---- the queue ------------------------------------------------------------------------------- */

/* Puts an event behind the others. False when there is no memory. */
bool lane_add(struct lane *lane, const struct event *event, struct chunk *chunk,
              struct batch *batch);
/* Moves the first event to the end of `events`, and returns it. */
struct pending *lane_take_first(struct lane *lane, struct list *events);
/* Puts events back in front of the others. */
void lane_put_back(struct lane *lane, struct list *events);
/* Drops the events in memory; they are read from the log again. Not for a resend. */
void lane_drop_queue(struct lane *lane);
/* Drops the queue of a lane that is not tried: nothing would take it away, and the lanes that are
 * tried need the room to read. */
void lane_drop_queue_if_not_tried(struct lane *lane);
/* Whether the first event came round too often. A delivery that somebody wants sent again never
 * does. */
bool lane_front_is_looped(const struct lane *lane);
/* How many events its next request may carry. */
uint32_t lane_most(const struct lane *lane);

/* ---- lanes from disk ------------------------------------------------------------------------- */

/* Whether a lane from disk is one that the endpoint's options would make. */
bool lane_row_fits(const struct endpoint *endpoint, const struct lane_row *row);
