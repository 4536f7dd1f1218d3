/* The requests of a benchmark: how to subscribe and publish at each server that can be measured. */
#pragma once

#include "bench/plan.h"

enum { TARGET_RUN_LEN = 8 };

/* What one run's channels are called, so that no run sees another's events. */
struct target_run {
    char name[TARGET_RUN_LEN + 1];
};

/* Where a poll goes on; texts of the answer before, copied into the next request. */
struct target_cursor {
    struct str cursor;        /* ours */
    struct str last_modified; /* nchan's pair */
    struct str etag;
};

/* Adds the request that opens a subscriber's stream or WebSocket, or, with polling, the first one,
 * which tells where to begin. `seat` counts for groups of one channel. */
void target_add_subscribe(struct buf *out, const struct plan *plan, const struct target_run *run,
                          enum bench_group group, struct plan_seat seat);

/* Adds the poll for what is behind the cursor. */
void target_add_poll(struct buf *out, const struct plan *plan, const struct target_run *run,
                     uint32_t channel, const struct target_cursor *cursor);

/* Takes the cursor from an answer's head; the texts borrow from it. */
struct target_cursor target_cursor_of(struct str head);

/* One publish with holes: the channel's 8 digits and the event's mark. */
struct target_publish {
    struct buf bytes;
    size_t channel_at;
    size_t mark_at;
};

void target_publish_init(struct target_publish *publish, const struct plan *plan,
                         const struct target_run *run);
void target_publish_deinit(struct target_publish *publish);
