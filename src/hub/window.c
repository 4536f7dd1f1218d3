#include "hub/window.h"

#include "base/mem.h"

#include <stdlib.h>

enum { RING_FIRST = 1024, BATCHES_FIRST = 256, SPARSE = 4 };
enum { TOPIC_OVERHEAD = 32 };

/* Steps along channels' threads for a page, each of which counts as a row. Up to WALK_FEW steps are
 * always worth it, more only while there are WALK_SPARSE rows or more between two of them. */
enum { WALK_FEW = 1024, WALK_SPARSE = 16 };

/* Charges of a budget: for a row, for each term that it is matched against, for a step. */
enum { ROW_COST = 16, TERM_COST = 32, STEP_COST = 32 };

static struct window_slot *slot(const struct window *window, uint64_t position)
{
    return &window->ring[position & window->mask];
}

void window_init(struct window *window, struct topics *topics, size_t bytes_max, uint64_t newest)
{
    *window = (struct window){.topics = topics,
                              .bytes_max = bytes_max,
                              .held_above = newest,
                              .applied = newest,
                              .mask = RING_FIRST - 1,
                              .batch_mask = BATCHES_FIRST - 1};
    window->ring = mem_alloc(RING_FIRST * sizeof(*window->ring));
    window->batches = mem_alloc(BATCHES_FIRST * sizeof(struct batch *));
}

/* ---- falling out ---------------------------------------------------------------------------- */

static void raise_held_above(struct window *window, uint64_t id)
{
    if (id > window->held_above)
        window->held_above = id;
}

/* The memory of a channel with events in the window, and of its entry in a map. */
static size_t topic_bytes(const struct topic *topic)
{
    return sizeof(*topic) + topic->name_len + TOPIC_OVERHEAD;
}

static void drop_first(struct window *window)
{
    struct window_slot *oldest = slot(window, window->first++);
    struct topic *topic = oldest->topic;
    if (topic && topic->tail == window->first) { /* tail is position + 1 */
        topic->tail = 0;
        window->topics_bytes -= topic_bytes(topic);
        topics_release(window->topics, topic);
    }
}

static void drop_batch(struct window *window)
{
    struct batch *batch = window->batches[window->batch_first++ & window->batch_mask];
    for (uint32_t i = 0; i < batch->count; i++) {
        if (batch->events[i].state != EVENT_APPENDED)
            continue;
        raise_held_above(window, batch->events[i].id);
        drop_first(window);
    }
    window->bytes -= batch_bytes(batch);
    batch_unref(batch);
}

static void drop_all(struct window *window)
{
    while (window->batch_first < window->batch_end)
        drop_batch(window);
}

void window_deinit(struct window *window)
{
    drop_all(window);
    free(window->ring);
    free(window->batches);
}

/* ---- growing and shrinking ------------------------------------------------------------------- */

static uint64_t ring_size(const struct window *window)
{
    return window->mask + 1;
}

static uint64_t batches_size(const struct window *window)
{
    return window->batch_mask + 1;
}

/* The size of the rings beyond their first size: as large as small events themselves. */
static size_t rings_bytes(const struct window *window)
{
    return (ring_size(window) - RING_FIRST) * sizeof(*window->ring) +
           (batches_size(window) - BATCHES_FIRST) * sizeof(struct batch *);
}

size_t window_own_bytes(const struct window *window)
{
    return window->topics_bytes + rings_bytes(window);
}

size_t window_bytes(const struct window *window)
{
    return window->bytes + window_own_bytes(window);
}

static bool resize_ring(struct window *window, uint64_t size)
{
    struct window_slot *ring = mem_try_alloc(size * sizeof(*ring));
    if (!ring)
        return false;
    for (uint64_t p = window->first; p < window->end; p++)
        ring[p & (size - 1)] = *slot(window, p);
    free(window->ring);
    window->ring = ring;
    window->mask = size - 1;
    return true;
}

static bool resize_batches(struct window *window, uint64_t size)
{
    struct batch **batches = mem_try_alloc(size * sizeof(struct batch *));
    if (!batches)
        return false;
    for (uint64_t b = window->batch_first; b < window->batch_end; b++)
        batches[b & (size - 1)] = window->batches[b & window->batch_mask];
    free(window->batches);
    window->batches = batches;
    window->batch_mask = size - 1;
    return true;
}

/* The size for a ring that is three quarters empty. About half of it is used afterwards, so that it
 * does not grow back at once. */
static uint64_t fitting(uint64_t size, uint64_t least, uint64_t used)
{
    while (size > least && used * SPARSE < size)
        size /= 2;
    return size;
}

/* Shrinks the rings. A flood of small events makes them large, and they would stay so under large
 * events. Without memory for a smaller ring the larger one stays. */
static void shrink(struct window *window)
{
    uint64_t slots = fitting(ring_size(window), RING_FIRST, window->end - window->first);
    uint64_t batches =
        fitting(batches_size(window), BATCHES_FIRST, window->batch_end - window->batch_first);
    if (slots < ring_size(window))
        (void)resize_ring(window, slots);
    if (batches < batches_size(window))
        (void)resize_batches(window, batches);
}

/* Makes room for a batch of `count` events. If there is no memory to grow, the oldest events fall
 * out. */
static void make_room(struct window *window, uint32_t count)
{
    while (window_bytes(window) > window->bytes_max && window->batch_first < window->batch_end) {
        drop_batch(window);
        shrink(window);
    }
    while (window->end - window->first + count > ring_size(window))
        if (!resize_ring(window, ring_size(window) * 2)) {
            if (window->batch_first == window->batch_end)
                abort(); /* the window is empty, and still has no room for one batch */
            drop_batch(window);
        }
    while (window->batch_end - window->batch_first > window->batch_mask)
        if (!resize_batches(window, batches_size(window) * 2))
            drop_batch(window);
}

static void add_event(struct window *window, const struct event *event, struct topic *topic)
{
    *slot(window, window->end) = (struct window_slot){event, topic, topic ? topic->tail : 0};
    window->end++;
    if (topic && !topic->tail)
        window->topics_bytes += topic_bytes(topic);
    if (topic)
        topic->tail = window->end;
    else
        raise_held_above(window, event->id); /* no thread leads to the event, so it must be read
                                              * from the store */
    window->applied = event->id;
}

/* Hides the channel's events up to the TRIM entry, and makes the next gap check ask the log. */
static void trim(struct window *window, const struct event *entry)
{
    const struct topic *topic = topics_find(window->topics, entry->channel);
    window->trims++;
    if (entry->id > window->trimmed)
        window->trimmed = entry->id;
    for (uint64_t p = topic ? topic->tail : 0; p > window->first; p = slot(window, p - 1)->before) {
        struct window_slot *at = slot(window, p - 1);
        if (at->event && at->event->id <= entry->id)
            at->event = NULL;
    }
}

void window_open(struct window *window, const struct batch *batch)
{
    make_room(window, batch->count);
    events_prefetch(&window->topics->names, batch->events, batch->count);
}

struct topic *window_put(struct window *window, const struct event *event)
{
    struct topic *topic = topics_get(window->topics, event);
    add_event(window, event, topic);
    return topic;
}

void window_trim(struct window *window, const struct event *entry)
{
    if (entry->id)
        trim(window, entry);
}

void window_close(struct window *window, struct batch *batch)
{
    if (!batch_has_appended(batch))
        return;
    window->batches[window->batch_end++ & window->batch_mask] = batch_ref(batch);
    window->bytes += batch_bytes(batch);
}

static void clear(struct window *window)
{
    drop_all(window);
    shrink(window);
}

void window_pass(struct window *window, const struct batch *batch)
{
    clear(window);
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct event *event = &batch->events[i];
        if (event->state == EVENT_APPENDED)
            window->held_above = window->applied = event->id;
        else if (event->state == EVENT_TRIM && event->id)
            trim(window, event);
    }
}

void window_miss(struct window *window, uint64_t upto)
{
    clear(window);
    if (upto > window->applied)
        window->applied = upto;
    window->held_above = window->applied;
    window->trims++; /* there may have been TRIM entries among them */
}

/* ---- reading -------------------------------------------------------------------------------- */

/* The position of the first event with a higher id. */
static uint64_t position_after(const struct window *window, uint64_t id)
{
    /* Trimmed slots have no id; the search takes the id of the next slot that has one. */
    uint64_t low = window->first, high = window->end;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2, p = middle;
        while (p < high && !slot(window, p)->event)
            p++;
        if (p < high && slot(window, p)->event->id <= id)
            low = p + 1;
        else
            high = middle;
    }
    return low;
}

/* The charge for matching a row against the selection. */
static size_t row_cost(const struct selection *selection)
{
    return ROW_COST + TERM_COST * (size_t)selection_weight(selection);
}

static uint64_t read_scan(struct window *window, const struct selection *selection, uint64_t after,
                          uint64_t rows, struct budget *budget,
                          bool (*each)(void *context, const struct event *event), void *context)
{
    uint64_t through = after;
    size_t cost = row_cost(selection);
    for (uint64_t p = position_after(window, after); p < window->end; p++) {
        const struct event *event = slot(window, p)->event;
        if (!event)
            continue;
        if (!rows--)
            return through;
        through = event->id;
        if (selection_has(selection, event) && !each(context, event))
            return through;
        if (budget && !budget_spend(budget, cost) && p + 1 < window->end)
            return through;
    }
    return window->applied;
}

bool window_may_have(const struct window *window, const struct selection *selection, uint64_t after)
{
    if (after < window->held_above || !window_follows(selection))
        return true;
    for (uint32_t i = 0; i < selection->names_count; i++) {
        const struct topic *topic = topics_find(window->topics, selection->names[i]);
        if (!topic || topic->tail <= window->first)
            continue;
        const struct event *newest = slot(window, topic->tail - 1)->event;
        if (!newest || newest->id > after)
            return true;
    }
    return false;
}

/* A walk along a channel's thread: positions, the newest first. */
struct thread {
    uint64_t *positions;
    size_t count;
    size_t cap;
    uint64_t steps; /* steps of the walk */
};

static bool thread_add(struct thread *thread, uint64_t position)
{
    if (thread->count == thread->cap) {
        size_t cap = thread->cap ? thread->cap * 2 : 64;
        uint64_t *positions = mem_try_realloc(thread->positions, cap * sizeof(*positions));
        if (!positions)
            return false;
        thread->positions = positions;
        thread->cap = cap;
    }
    thread->positions[thread->count++] = position;
    return true;
}

/* Whether to go on with the walk back along a channel's thread after this many steps. The thread
 * leads from the newest event to the oldest, so a page needs all of it down to the cursor. For a
 * subscriber far behind on a busy channel it is cheaper to go forward through all rows. */
static bool walk_pays(const struct window *window, uint64_t steps, uint64_t at)
{
    return steps < WALK_FEW || window->end - at > steps * WALK_SPARSE;
}

/* Gathers a channel's positions behind the cursor. Returns false if that takes more than `most`
 * steps or does not pay, or if there is no memory. */
static bool gather_channel(const struct window *window, const struct selection *selection,
                           const struct topic *topic, uint64_t after, uint64_t most,
                           struct thread *thread)
{
    uint64_t steps = 0;
    for (uint64_t p = topic ? topic->tail : 0; p > window->first; p = slot(window, p - 1)->before) {
        const struct event *event = slot(window, p - 1)->event;
        if (event && event->id <= after)
            break;
        if (++thread->steps > most || !walk_pays(window, ++steps, p))
            return false;
        if (event && selection_has_type(selection, event->type) && !thread_add(thread, p - 1))
            return false;
    }
    return true;
}

static bool gather(const struct window *window, const struct selection *selection, uint64_t after,
                   uint64_t rows, struct thread *thread)
{
    uint64_t most = rows < WINDOW_WALK_MAX ? rows : WINDOW_WALK_MAX;
    for (uint32_t i = 0; i < selection->names_count; i++) {
        if (selection_excepts(selection, selection->names[i]))
            continue;
        const struct topic *topic = topics_find(window->topics, selection->names[i]);
        if (!gather_channel(window, selection, topic, after, most, thread))
            return false;
    }
    return true;
}

static int by_position(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static uint64_t give(struct window *window, const struct thread *thread,
                     bool (*each)(void *context, const struct event *event), void *context)
{
    for (size_t i = 0; i < thread->count; i++) {
        const struct event *event = slot(window, thread->positions[i])->event;
        if (!each(context, event))
            return event->id;
    }
    return window->applied;
}

static void sort(struct thread *thread, bool one_channel)
{
    if (!one_channel && thread->count) {
        qsort(thread->positions, thread->count, sizeof(uint64_t), by_position);
        return;
    }
    for (size_t i = 0; i < thread->count / 2; i++) {
        uint64_t swap = thread->positions[i];
        thread->positions[i] = thread->positions[thread->count - 1 - i];
        thread->positions[thread->count - 1 - i] = swap;
    }
}

uint64_t window_read(struct window *window, const struct selection *selection, uint64_t after,
                     uint64_t rows, struct budget *budget,
                     bool (*each)(void *context, const struct event *event), void *context)
{
    struct thread thread = {0};
    uint64_t through;
    if (!window_follows(selection) || !gather(window, selection, after, rows, &thread)) {
        through = read_scan(window, selection, after, rows, budget, each, context);
    } else {
        sort(&thread, selection->names_count == 1);
        through = give(window, &thread, each, context);
    }
    free(thread.positions);
    if (budget && thread.steps) /* afterwards, so that a walk in vain leaves budget for the rows */
        budget_spend(budget, thread.steps * STEP_COST);
    return through;
}
