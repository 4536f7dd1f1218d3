#include "log/event.h"

#include "base/mem.h"

#include <stdlib.h>

enum { EVENTS_FIRST = 4, PREFETCHED = 64 };

struct batch *batch_new(void)
{
    struct batch *batch = mem_try_alloc(sizeof(*batch));
    if (!batch)
        return NULL;
    *batch = (struct batch){0};
    atomic_init(&batch->refs, 1);
    return batch;
}

struct batch *batch_ref(struct batch *batch)
{
    atomic_fetch_add_explicit(&batch->refs, 1, memory_order_relaxed);
    return batch;
}

struct batch *batch_unref(struct batch *batch)
{
    if (!batch || atomic_fetch_sub_explicit(&batch->refs, 1, memory_order_acq_rel) != 1)
        return NULL;
    arena_free(&batch->arena);
    free(batch->events);
    free(batch);
    return NULL;
}

static bool set_cap(struct batch *batch, uint32_t cap)
{
    struct event *events = mem_try_realloc(batch->events, cap * sizeof(*events));
    if (!events)
        return false;
    batch->events = events;
    batch->cap = cap;
    return true;
}

void batch_expect(struct batch *batch, uint32_t count)
{
    if (count > EVENTS_FIRST && !batch->cap)
        (void)set_cap(batch, count);
}

void batch_fit(struct batch *batch)
{
    if (batch->count && batch->count < batch->cap / 2)
        (void)set_cap(batch, batch->count);
}

struct event *batch_add(struct batch *batch)
{
    if (batch->count == batch->cap && !set_cap(batch, batch->cap ? batch->cap * 2 : EVENTS_FIRST))
        return NULL;
    struct event *event = &batch->events[batch->count++];
    *event = (struct event){0};
    return event;
}

bool batch_has_appended(const struct batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++)
        if (batch->events[i].state == EVENT_APPENDED)
            return true;
    return false;
}

size_t batch_bytes(const struct batch *batch)
{
    return sizeof(*batch) + batch->cap * sizeof(struct event) + batch->arena.total +
           (size_t)3 * HEAP_OVERHEAD;
}

bool event_id_read(struct str text, uint64_t *ret_id)
{
    uint64_t id = 0;
    for (size_t i = 0; i < text.len && i <= EVENT_ID_DIGITS; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        id = id * 10 + (uint64_t)(text.at[i] - '0');
    }
    if (!text.len || text.len > EVENT_ID_DIGITS || id > EVENT_ID_MAX)
        return false;
    *ret_id = id;
    return true;
}

void batch_hash_names(struct batch *batch, const uint64_t seed[2])
{
    for (uint32_t i = 0; i < batch->count; i++)
        batch->events[i].hash = (uint32_t)map_hash(seed, batch->events[i].channel);
}

void events_prefetch(const struct map *map, const struct event *events, size_t count)
{
    for (size_t from = 0; from + 1 < count; from += PREFETCHED) {
        size_t run = count - from < PREFETCHED ? count - from : PREFETCHED;
        for (size_t i = 0; i < run; i++)
            map_prefetch_slot(map, events[from + i].hash);
        for (size_t i = 0; i < run; i++)
            map_prefetch_node(map, events[from + i].hash);
    }
}
