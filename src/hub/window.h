/* The newest events in memory, in log order, with a thread through each channel from an event to
 * the one before. */
#pragma once

#include "base/budget.h"
#include "hub/topics.h"

/* Positions count events since the start and never wrap; the event at position p is in slot p &
 * mask of the ring. */
struct window_slot {
    const struct event *event; /* NULL after a trim */
    struct topic *topic;
    uint64_t before; /* position + 1 of the channel's previous event; 0: none */
};

struct window {
    struct topics *topics;
    struct window_slot *ring;
    uint64_t mask;
    uint64_t first;         /* position of the oldest event */
    uint64_t end;           /* position behind the newest */
    uint64_t held_above;    /* all events with a higher id are in the window */
    uint64_t applied;       /* the newest id that was added, or the id at which the window began */
    struct batch **batches; /* ring of references, oldest first */
    uint64_t batch_first, batch_end, batch_mask;
    size_t bytes;        /* size of the batches, which several windows share */
    size_t topics_bytes; /* size of the topics with events in the window */
    size_t bytes_max;    /* bound for window_bytes() */
    uint64_t trimmed;    /* the highest id of a TRIM entry */
    uint64_t trims;      /* number of TRIM entries so far */
};

/* The most names whose channels are followed, and the most steps of a read along them. A selection
 * with more names, or with patterns, is read by scanning all rows. */
enum { WINDOW_NAMES_MAX = 32, WINDOW_WALK_MAX = 8192 };

static inline bool window_follows(const struct selection *selection)
{
    return !selection->patterns_count && selection->names_count <= WINDOW_NAMES_MAX;
}

/* An empty window that begins behind `newest`. */
void window_init(struct window *window, struct topics *topics, size_t bytes_max, uint64_t newest);
void window_deinit(struct window *window);

/* The memory of the window with its tables, where a small event needs as much as in its batch. */
size_t window_bytes(const struct window *window);

/* The part of it that is not shared with other windows: the rings and the topics. */
size_t window_own_bytes(const struct window *window);

/* Adds a batch event by event, so that the caller may pause. window_open() makes room: the oldest
 * events fall out. window_put() adds an APPENDED event and returns its channel's topic (NULL
 * without memory). window_trim() applies a TRIM entry. window_close() takes the window's reference
 * to the batch; until then the caller must hold the batch. */
void window_open(struct window *window, const struct batch *batch);
struct topic *window_put(struct window *window, const struct event *event);
void window_trim(struct window *window, const struct event *entry);
void window_close(struct window *window, struct batch *batch);

/* Notes the batch as added and fallen out, with all before it. */
void window_pass(struct window *window, const struct batch *batch);

/* Notes events up to `upto`, which never came here, as added and fallen out. */
void window_miss(struct window *window, uint64_t upto);

/* Calls `each` for the selected events with after < id, ascending, until it returns false. `after`
 * must be >= held_above. Looks at `rows` rows at most, whether it scans them or follows the
 * channels that the selection names, and stops behind the row that spends the budget (NULL: no
 * budget). Returns the id up to which all selected events were given: the last one given if `each`
 * stopped, the last one looked at if `rows` or the budget ended the read, else `applied`. */
uint64_t window_read(struct window *window, const struct selection *selection, uint64_t after,
                     uint64_t rows, struct budget *budget,
                     bool (*each)(void *context, const struct event *event), void *context);

/* Whether the selection may have events with ids above `after`. Quick: for a few names and a cursor
 * within the window the answer is exact, otherwise it is true. */
bool window_may_have(const struct window *window, const struct selection *selection,
                     uint64_t after);
