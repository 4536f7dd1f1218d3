/* A bundle of progress: what has changed of many webhooks, copied so that the saver's thread writes
 * it in one transaction while the webhooks go on. */
#pragma once

#include "base/arena.h"
#include "webhooks/progress/delivery_log.h"
#include "webhooks/progress/saver.h"

struct bundle {
    struct saver_job job;
    struct arena arena;
    struct bundle_row {
        struct endpoint_row row; /* its texts must not be read: the endpoint may be gone */
        unsigned accepted;       /* deliveries that count as open until the bundle is saved */
        bool with_state;
    } * rows;
    size_t rows_count, rows_cap;
    struct lane_row *lanes; /* no channel: the lane's row is deleted */
    size_t lanes_count, lanes_cap;
    struct logged_attempt *attempts;
    size_t attempts_count, attempts_cap;
    size_t responses_bytes;
    uint64_t *skipped; /* numbers of deliveries that will not be tried again */
    size_t skipped_count, skipped_cap;
    bool prune; /* the delivery log, too: */
    int64_t prune_before_us;
    uint64_t prune_rows;
    bool whole;    /* contains everything that was not saved */
    bool restored; /* attempts of a failed bundle come after newer ones */
};

struct bundle *bundle_new(void);
void bundle_free(struct bundle *bundle);

/* Adds the progress of an endpoint; `cursor` is the scan's position. Without `with_state` the state
 * on disk stays as it is. */
void bundle_add_endpoint(struct bundle *bundle, const struct endpoint_row *row, uint64_t cursor,
                         unsigned accepted, bool with_state);
/* Adds a lane's row, with a copy of its channel. */
void bundle_add_lane(struct bundle *bundle, const struct lane_row *row);
/* Deletes the lane's row. */
void bundle_drop_lane(struct bundle *bundle, uint64_t endpoint, uint64_t slot);
/* Adds an attempt for the delivery log. Copies its texts; responses beyond 16 MiB are left out. */
void bundle_add_attempt(struct bundle *bundle, const struct logged_attempt *attempt);

/* Notes that the delivery will not be tried again. */
void bundle_add_skipped(struct bundle *bundle, uint64_t n);

/* Writes the bundle, on the saver's thread. Returns 0, or a negative errno with nothing written.
 * After a failure it writes only a whole bundle. */
int bundle_write(struct saver_job *job, struct registry *registry);
