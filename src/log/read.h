/* Reads of the store for a selection: the channels that it has now, and the choice between the
 * store's index and a scan. */
#pragma once

#include "log/log.h"

/* Beyond this number of channels the store always scans. */
enum { CHANNEL_SET_FEW = 1000 };

/* Steps of matching patterns in a slice, for all its selections together: a few milliseconds. A
 * channel takes three steps if the patterns are few and plain. */
enum { RESOLVE_STEPS = 262144 };

/* The same for the first slice of a read, and the most rows that this slice scans. A new read
 * overtakes all reads that have had a slice, and waits only for the first slices of reads before
 * it: a thousand that look at 200,000 channels each must not hold it up for seconds. Reads by
 * index, and patterns with a literal beginning, need no more than this. */
enum { RESOLVE_BRIEF = RESOLVE_STEPS / 128, ROWS_BRIEF = 128 };

/* The channels of one or several selections, at one moment. */
struct channel_set {
    bool scans;   /* many channels: use the bitmap, otherwise the numbers */
    size_t count; /* count of `numbers`, which ascend */
    uint32_t numbers[CHANNEL_SET_FEW];
    uint8_t *bitmap;
    size_t bits;
    uint64_t newest; /* the newest safe id when the first selection was added; events above it must
                      * not be read */
};

/* Adds the channels of the selection to an empty set, or to a set that scans. Returns 0, -ENOMEM,
 * or 1 with nothing added if the set scans and the selection has few channels. Returns -EAGAIN once
 * `*steps`, which it lowers, are spent: the selection keeps the progress, and the caller comes back
 * with its next slice. For readers' threads; no lock is held when it returns. */
int channel_set_add(struct channel_set *set, struct log *log, struct selection *selection,
                    uint64_t *steps);
void channel_set_deinit(struct channel_set *set);

/* Ends a hold on the selection's numbers. A successful channel_set_add() to a set that scans begins
 * a hold, and the numbers stay unchanged until it ends. */
void channel_set_let_go(struct selection *selection);

/* log_read() for the channels of the set; only the types of query->selection count. */
int log_read_set(struct log *log, struct store_query *query, const struct channel_set *set,
                 struct batch **ret_batch, uint64_t *ret_through);

/* Whether a read of this selection may have to scan, without a look at the table. */
bool selection_may_scan(const struct selection *selection);
