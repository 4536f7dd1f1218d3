/* The requests of a benchmark: how to subscribe and publish at each server that can be measured. */
#pragma once

#include "bench/plan.h"

enum { TARGET_RUN_LEN = 8 };

/* The names of a run's channels, so that no run sees another's events. */
struct target_run {
    char name[TARGET_RUN_LEN + 1];
};

/* The position of a poll: texts of the last response, copied into the next request. */
struct target_cursor {
    struct str cursor;        /* for freshet */
    struct str last_modified; /* for nchan, a pair */
    struct str etag;
};

/* Adds the request that opens a subscriber's stream or WebSocket or, for polling, the first poll,
 * which returns a position. `seat` is for groups with a channel for each subscriber. */
void target_add_subscribe(struct buf *out, const struct plan *plan, const struct target_run *run,
                          enum bench_group group, struct plan_seat seat);

/* Adds the poll for the events behind the cursor. */
void target_add_poll(struct buf *out, const struct plan *plan, const struct target_run *run,
                     uint32_t channel, const struct target_cursor *cursor);

/* Takes the cursor from the head of a response, which the texts borrow from. */
struct target_cursor target_cursor_of(struct str head);

/* A publish with two holes for each of its events: the 8 digits of the channel and the mark. */
struct target_publish {
    struct buf bytes;
    uint32_t events;
    size_t channel_at; /* of the first event */
    size_t mark_at;
    size_t stride; /* from one event to the next */
};

/* A request that publishes so many events. More than one are JSON in the body of `POST /events`,
 * which only freshet has. */
void target_publish_init(struct target_publish *publish, const struct plan *plan,
                         const struct target_run *run, uint32_t events);
void target_publish_deinit(struct target_publish *publish);
