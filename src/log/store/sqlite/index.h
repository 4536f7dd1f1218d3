/* An index of the rows of an unsealed file by channel: about 16 bytes an event, in memory only,
 * since a second B-tree in the file would cost an append most of its speed.
 *
 *     rows    ordinal -> id, bytes of data       in chunks that never move
 *     lines   channel -> ordinals, ascending     a growing array each
 *
 * One thread adds rows. Others see them once they are published, so that rows of a failed commit
 * can be removed before any thread has seen them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct index;

/* Aborts if there is no memory for an empty index. */
struct index *index_new(void);
void index_free(struct index *index);

/* Adds an event, whose id must be above all others. -ENOMEM: nothing changed. Writer. */
int index_add(struct index *index, uint32_t number, uint64_t id, size_t bytes);

/* Removes the newest event, which is of that channel and not published yet. Writer. */
void index_take_back(struct index *index, uint32_t number);

/* Publishes the added rows to other threads. Writer. */
void index_publish(struct index *index);

/* Whether the writer has put the channel's name into the file. `index_name` notes that it has;
 * -ENOMEM. Writer. */
bool index_is_named(const struct index *index, uint32_t number);
int index_name(struct index *index, uint32_t number, bool named);

/* Ids of the channel's events with low < id <= high: the first `max` of them, or, backwards, the
 * last `max`, descending. Returns how many. Any thread, as those below. */
size_t index_ids(struct index *index, uint32_t number, uint64_t low, uint64_t high, bool backwards,
                 uint64_t *out, size_t max);

struct index_tally {
    uint64_t count;
    uint64_t bytes;
    uint64_t first; /* ids; 0 when there are none */
    uint64_t last;
};

/* The sums of the channel's rows above `low`. */
struct index_tally index_tally(struct index *index, uint32_t number, uint64_t low);

/* The first of the channel's events above `low`: as few as possible, but at least `count` events
 * and `bytes` bytes; all if there are not so many. */
struct index_tally index_first(struct index *index, uint32_t number, uint64_t low, uint64_t count,
                               uint64_t bytes);

/* The highest channel number that has events, 0 for none; the bound of a walk over all channels. */
uint32_t index_numbers(struct index *index);

uint32_t index_rows(struct index *index);

/* The heap that it holds. */
size_t index_bytes(struct index *index);
