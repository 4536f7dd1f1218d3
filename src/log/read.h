/* Reads of the store for a selection: which channels it has now, and whether the store goes by its
 * index or scans. */
#pragma once

#include "log/log.h"

/* Beyond so many channels the store scans whatever else is known. */
enum { CHANNEL_SET_FEW = 1000 };

/* So many steps of matching patterns one slice takes, for all its selections together: a few
 * milliseconds. A channel takes three steps if the patterns are few and plain. */
enum { RESOLVE_STEPS = 262144 };

/* The same for the first slice of a read, and how many rows that scans at most. A new read passes
 * by all that have had a slice, and waits for the first slices of those that came before it: a
 * thousand that look at 200,000 channels each must not hold it up for seconds. Reads that go by an
 * index, and patterns that spell where to look, are done with as little. */
enum { RESOLVE_BRIEF = RESOLVE_STEPS / 128, ROWS_BRIEF = 128 };

/* The channels of a selection, or of several, at one moment. */
struct channel_set {
    bool scans;   /* they are many: go by the bitmap, otherwise by the numbers */
    size_t count; /* of `numbers`, which rise */
    uint32_t numbers[CHANNEL_SET_FEW];
    uint8_t *bitmap;
    size_t bits;
    uint64_t newest; /* safe when the first was looked up: no event above it is to be read */
};

/* Adds the channels of the selection to an empty set, or to one that scans. A set that scans takes
 * no selection of few channels: true, and nothing was added. Negative: -ENOMEM, or -EAGAIN once
 * `*steps`, which it lowers, are used up: the selection keeps what was done, and the caller comes
 * back with its next slice. For readers' threads; no lock is held when it returns. */
int channel_set_add(struct channel_set *set, struct log *log, struct selection *selection,
                    uint64_t *steps);
void channel_set_deinit(struct channel_set *set);

/* Ends a hold on the selection's numbers: channel_set_add() to a set that scans begins one, and the
 * numbers stay as they are until it ends. */
void channel_set_let_go(struct selection *selection);

/* As log_read() for the channels of the set; of query->selection only the types count. */
int log_read_set(struct log *log, struct store_query *query, const struct channel_set *set,
                 struct batch **ret_batch, uint64_t *ret_through);

/* Whether a read of this selection may have to scan; told without a look at the table. */
bool selection_may_scan(const struct selection *selection);
