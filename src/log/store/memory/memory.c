/* A store that keeps events in the batches that brought them.
 *
 *     held    [batch 7][batch 8][batch 9]          in id order, a reference each
 *                 ^  ^      ^
 *     lines   #1 -+--+------'                      for each channel, pointers to its events
 *
 * A line holds exactly the retained events of a channel; all other events of a batch are dead. The
 * exception is a line that lags: a trim of many events hides them at once, drops the first few, and
 * leaves the rest to upkeep, because appends wait for the lock. Their batches stay until then.
 * A batch without a live event is let go; upkeep copies a batch that is mostly dead into a
 * smaller one. An empty line still says which events of its channel are dead. Its chunk is freed
 * once no batch holds such events.
 *
 * All of that memory is counted, with the allocator's overhead. The log trims by it.
 *
 * There is one lock: appends and trims hold it alone and briefly, reads share it. */
#include "log/store/memory/held.h"
#include "log/store/memory/line.h"
#include "log/numbers.h"
#include "log/store/page.h"

#include "base/bisect.h"
#include "base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

/* A turn of upkeep looks at SWEEP chunks. */
enum { CHUNK_BITS = 8, CHUNK = 1 << CHUNK_BITS, CHUNKS_FIRST = 16, SWEEP = 4096, DROPS = 1024 };

/* The lines of channels with consecutive numbers. */
struct chunk {
    struct line lines[CHUNK];
};

struct memory {
    struct store store;
    pthread_rwlock_t lock; /* guards all fields below */
    struct chunk **chunks; /* by the high bits of a channel's number */
    size_t chunks_cap;
    uint64_t index_bytes;   /* bytes of chunks and lines */
    size_t swept;           /* the chunk that upkeep looks at next */
    struct numbers lagging; /* channels whose lines lag */
    uint32_t drops_left;    /* events that may be dropped before the lock is released */
    struct held_queue queue;
    void (*released)(void *context, uint32_t number);
    void *context;
};

static struct memory *of(struct store *store)
{
    return container_of(store, struct memory, store);
}

/* ---- lines ---------------------------------------------------------------------------------- */

static struct line *line_of(struct memory *memory, uint32_t number)
{
    size_t at = number >> CHUNK_BITS;
    struct chunk *chunk = at < memory->chunks_cap ? memory->chunks[at] : NULL;
    return chunk ? &chunk->lines[number & (CHUNK - 1)] : NULL;
}

static bool is_live(struct memory *memory, const struct event *event)
{
    const struct line *line =
        event->state == EVENT_APPENDED ? line_of(memory, event->number) : NULL;
    return line && event->id > line->trimmed;
}

static bool chunks_room(struct memory *memory, size_t at)
{
    if (at < memory->chunks_cap)
        return true;
    size_t cap = memory->chunks_cap ? memory->chunks_cap : CHUNKS_FIRST;
    while (cap <= at)
        cap *= 2;
    struct chunk **chunks = mem_try_realloc(memory->chunks, cap * sizeof(struct chunk *));
    if (!chunks)
        return false;
    memset(chunks + memory->chunks_cap, 0, (cap - memory->chunks_cap) * sizeof(struct chunk *));
    memory->index_bytes += (cap - memory->chunks_cap) * sizeof(struct chunk *);
    memory->chunks = chunks;
    memory->chunks_cap = cap;
    return true;
}

/* The channel's line, created if need be; NULL if there is no memory. */
static struct line *line_room(struct memory *memory, uint32_t number)
{
    size_t at = number >> CHUNK_BITS;
    if (!chunks_room(memory, at))
        return NULL;
    if (!memory->chunks[at]) {
        struct chunk *chunk = mem_try_alloc(sizeof(*chunk));
        if (!chunk)
            return NULL;
        memset(chunk, 0, sizeof(*chunk));
        memory->chunks[at] = chunk;
        memory->index_bytes += sizeof(*chunk) + HEAP_OVERHEAD;
    }
    return line_of(memory, number);
}

static bool push_event(struct memory *memory, struct line *line, const struct event *event)
{
    uint64_t before = line_bytes(line);
    bool done = line_push(line, event);
    memory->index_bytes += line_bytes(line) - before;
    return done;
}

static void shrink(struct memory *memory, struct line *line)
{
    uint64_t before = line_bytes(line);
    line_shrink(line);
    memory->index_bytes -= before - line_bytes(line);
}

/* ---- trimming ------------------------------------------------------------------------------- */

static void drop_first(struct memory *memory, struct line *line)
{
    struct held *held = &memory->queue.held[held_find(&memory->queue, line_events(line)[0]->id)];
    line_drop_first(line);
    memory->drops_left -= memory->drops_left != 0;
    if (--held->live == 0)
        held_let_go(&memory->queue, held);
}

/* Drops up to `most` trimmed events of the line; returns whether some are left. */
static bool drop_dead(struct memory *memory, struct line *line, uint32_t most)
{
    while (line->count && line_events(line)[0]->id <= line->trimmed) {
        if (!most--)
            return true;
        drop_first(memory, line);
    }
    shrink(memory, line);
    return false;
}

static void trim_line(struct memory *memory, uint32_t number, uint64_t upto)
{
    struct line *line = line_of(memory, number);
    if (!line || upto <= line->trimmed)
        return;
    line->trimmed = upto;
    if (!drop_dead(memory, line, memory->drops_left) || line->lags)
        return;
    line->lags = numbers_push(&memory->lagging, number);
    if (!line->lags) /* If there is no memory to note the line for later, drop its events now. */
        (void)drop_dead(memory, line, UINT32_MAX);
}

static uint64_t held_bytes(const struct memory *memory)
{
    return memory->queue.bytes + held_room_bytes(&memory->queue) + memory->index_bytes;
}

/* ---- append --------------------------------------------------------------------------------- */

static void unpush(struct memory *memory, const struct batch *batch, uint32_t count)
{
    for (uint32_t i = count; i-- > 0;) {
        if (batch->events[i].state != EVENT_APPENDED)
            continue;
        struct line *line = line_of(memory, batch->events[i].number);
        line_drop_last(line);
        shrink(memory, line);
    }
}

/* Enters the batch's events into their lines, all or none. */
static bool push(struct memory *memory, const struct batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct event *event = &batch->events[i];
        if (event->state != EVENT_APPENDED && event->state != EVENT_TRIM)
            continue;
        struct line *line = line_room(memory, event->number);
        if (line && (event->state == EVENT_TRIM || push_event(memory, line, event)))
            continue;
        unpush(memory, batch, i);
        return false;
    }
    return true;
}

static void apply_trims(struct memory *memory, const struct batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++)
        if (batch->events[i].state == EVENT_TRIM)
            trim_line(memory, batch->events[i].number, batch->events[i].id);
}

static bool append_all(struct memory *memory, struct batch *const *batches, size_t count)
{
    if (!held_room(&memory->queue, count))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (push(memory, batches[i]))
            continue;
        while (i-- > 0)
            unpush(memory, batches[i], batches[i]->count);
        return false;
    }
    /* No step from here on can fail. The id of a TRIM entry is not above its channel's newest id at
     * that point, so all TRIM entries may follow all events. */
    for (size_t i = 0; i < count; i++)
        held_add(&memory->queue, batches[i]);
    for (size_t i = 0; i < count; i++)
        apply_trims(memory, batches[i]);
    return true;
}

static int memory_append(struct store *store, struct batch *const *batches, size_t count)
{
    struct memory *memory = of(store);
    pthread_rwlock_wrlock(&memory->lock);
    memory->drops_left = DROPS;
    bool done = append_all(memory, batches, count);
    pthread_rwlock_unlock(&memory->lock);
    return done ? 0 : -ENOMEM;
}

/* ---- read ----------------------------------------------------------------------------------- */

static bool has_type(const struct page *page, const struct event *event)
{
    const struct selection *selection = page->query->selection;
    return !selection->types_count || selection_has_type(selection, event->type);
}

/* Looks at a row; returns 1 if the page is full. */
static int look(struct page *page, const struct event *event, bool wanted)
{
    if (!page_look(page, event->id))
        return 1;
    int result = wanted && has_type(page, event) ? page_add(page, event) : 0;
    return result ? result : page_full(page);
}

/* The number of a line's events that are trimmed or not above `id`. */
static uint32_t line_live(struct line *line, uint64_t id)
{
    return line_upto(line, id > line->trimmed ? id : line->trimmed);
}

/* The place of a query in a channel's line, and the line's events from there to the query's bound.
 */
struct cursor {
    const struct event **next; /* when reading backwards, the last of them */
    uint32_t left;
};

static void cursor_init(struct cursor *cursor, struct line *line, const struct store_query *query)
{
    *cursor = (struct cursor){0};
    if (!line || query->upto <= query->after)
        return;
    uint32_t start = line_live(line, query->after), end = line_upto(line, query->upto);
    if (start == end)
        return;
    cursor->left = end - start;
    cursor->next = line_events(line) + (query->backwards ? end - 1 : start);
}

static const struct event *take_next(struct cursor *cursors, size_t count, bool backwards)
{
    struct cursor *best = NULL;
    for (size_t i = 0; i < count; i++) {
        if (!cursors[i].left)
            continue;
        if (!best || (backwards ? (*cursors[i].next)->id > (*best->next)->id
                                : (*cursors[i].next)->id < (*best->next)->id))
            best = &cursors[i];
    }
    if (!best)
        return NULL;
    best->left--;
    return backwards ? *best->next-- : *best->next++;
}

static int read_lines(struct memory *memory, struct page *page)
{
    const struct store_query *query = page->query;
    struct cursor *cursors = mem_try_alloc((query->numbers_count + 1) * sizeof(*cursors));
    if (!cursors)
        return -ENOMEM;
    for (size_t i = 0; i < query->numbers_count; i++)
        cursor_init(&cursors[i], line_of(memory, query->numbers[i]), query);
    int result = 0;
    const struct event *event;
    while (!result && (event = take_next(cursors, query->numbers_count, query->backwards)))
        result = look(page, event, true);
    free(cursors);
    return result;
}

static int scan_event(struct memory *memory, struct page *page, const struct event *event)
{
    if (event->state != EVENT_APPENDED || event->id <= page->query->after ||
        event->id > page->query->upto)
        return 0;
    return look(page, event, page_has(page, event->number) && is_live(memory, event));
}

static int scan_forwards(struct memory *memory, struct page *page)
{
    int result = 0;
    for (size_t i = held_find(&memory->queue, page->query->after + 1);
         !result && i < memory->queue.end && memory->queue.held[i].first <= page->query->upto;
         i++) {
        const struct batch *batch = memory->queue.held[i].batch;
        for (uint32_t j = 0; batch && !result && j < batch->count; j++)
            result = scan_event(memory, page, &batch->events[j]);
    }
    return result;
}

static int scan_backwards(struct memory *memory, struct page *page)
{
    int result = 0;
    size_t end = held_find(&memory->queue, page->query->upto);
    for (size_t i = end < memory->queue.end ? end + 1 : end;
         !result && i-- > memory->queue.start && memory->queue.held[i].last > page->query->after;) {
        const struct batch *batch = memory->queue.held[i].batch;
        for (uint32_t j = batch ? batch->count : 0; !result && j-- > 0;)
            result = scan_event(memory, page, &batch->events[j]);
    }
    return result;
}

static int read_page(struct memory *memory, struct page *page)
{
    const struct store_query *query = page->query;
    if (query->numbers)
        return read_lines(memory, page);
    return query->backwards ? scan_backwards(memory, page) : scan_forwards(memory, page);
}

static int memory_read(struct store *store, const struct store_query *query,
                       struct batch **ret_batch, uint64_t *ret_through)
{
    struct memory *memory = of(store);
    struct page page;
    int result = page_init(&page, query);
    if (result)
        return result;
    pthread_rwlock_rdlock(&memory->lock);
    result = read_page(memory, &page);
    pthread_rwlock_unlock(&memory->lock);
    if (result < 0)
        page_drop(&page);
    else
        page_finish(&page, result == 0, ret_batch, ret_through);
    return result < 0 ? result : 0;
}

/* ---- looking for one event ------------------------------------------------------------------ */

/* The newest live event of the batch whose time is <= time_us. */
static uint64_t find_time_in(struct memory *memory, const struct batch *batch, int64_t time_us)
{
    for (uint32_t i = batch->count; i-- > 0;) {
        const struct event *event = &batch->events[i];
        if (is_live(memory, event) && event->time_us <= time_us)
            return event->id;
    }
    return 0;
}

static int memory_find_time(struct store *store, int64_t time_us, uint64_t *ret_id)
{
    struct memory *memory = of(store);
    *ret_id = 0;
    pthread_rwlock_rdlock(&memory->lock);
    size_t low = memory->queue.start, high = memory->queue.end;
    BISECT(low, high, middle, memory->queue.held[middle].time_us <= time_us);
    while (!*ret_id && low-- > memory->queue.start)
        if (memory->queue.held[low].batch)
            *ret_id = find_time_in(memory, memory->queue.held[low].batch, time_us);
    pthread_rwlock_unlock(&memory->lock);
    return 0;
}

static void find_cut(struct line *line, struct store_cut *cut)
{
    cut->count = cut->bytes = 0;
    for (uint32_t i = line ? line_live(line, cut->above) : 0; line && i < line->count; i++) {
        if (cut->count >= cut->want_count && cut->bytes >= cut->want_bytes)
            break;
        const struct event *event = line_events(line)[i];
        cut->upto = event->id;
        cut->bytes += event->data.len;
        cut->count++;
    }
}

static int memory_find_cuts(struct store *store, struct store_cut *cuts, size_t count)
{
    struct memory *memory = of(store);
    pthread_rwlock_rdlock(&memory->lock);
    for (size_t i = 0; i < count; i++)
        find_cut(line_of(memory, cuts[i].number), &cuts[i]);
    pthread_rwlock_unlock(&memory->lock);
    return 0;
}

static bool walk_batch(struct memory *memory, const struct batch *batch, uint64_t after,
                       uint64_t upto,
                       bool (*each)(void *context, uint32_t number, uint64_t id, size_t bytes),
                       void *context)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct event *event = &batch->events[i];
        if (!is_live(memory, event) || event->id <= after || event->id > upto)
            continue;
        if (!each(context, event->number, event->id, event->data.len))
            return false;
    }
    return true;
}

static int memory_walk(struct store *store, uint64_t after, uint64_t upto,
                       bool (*each)(void *context, uint32_t number, uint64_t id, size_t bytes),
                       void *context)
{
    struct memory *memory = of(store);
    bool more = true;
    pthread_rwlock_rdlock(&memory->lock);
    for (size_t i = held_find(&memory->queue, after + 1); more && i < memory->queue.end; i++) {
        const struct held *held = &memory->queue.held[i];
        more = held->first <= upto &&
               (!held->batch || walk_batch(memory, held->batch, after, upto, each, context));
    }
    pthread_rwlock_unlock(&memory->lock);
    return 0;
}

/* ---- upkeep --------------------------------------------------------------------------------- */

static int memory_trim(struct store *store, const struct store_trim *trims, size_t count)
{
    struct memory *memory = of(store);
    pthread_rwlock_wrlock(&memory->lock);
    memory->drops_left = DROPS;
    for (size_t i = 0; i < count; i++)
        trim_line(memory, trims[i].number, trims[i].trimmed);
    pthread_rwlock_unlock(&memory->lock);
    return 0;
}

static int copy_live(struct memory *memory, const struct batch *from, struct page *to)
{
    int result = 0;
    for (uint32_t i = 0; !result && i < from->count; i++)
        if (is_live(memory, &from->events[i]))
            result = page_add(to, &from->events[i]);
    return result;
}

static void point_lines_at(struct memory *memory, const struct batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct event *event = &batch->events[i];
        struct line *line = line_of(memory, event->number);
        line_events(line)[line_upto(line, event->id) - 1] = event;
    }
}

/* Replaces a batch by one that holds only its retained events. */
static int compact(struct memory *memory, struct held *held)
{
    static const struct store_query everything = {.limit = UINT32_MAX, .bytes = SIZE_MAX};
    struct page page;
    int result = page_init(&page, &everything);
    if (result)
        return result;
    result = copy_live(memory, held->batch, &page);
    held->appended = held->live; /* also after a failure: the next try comes once half of the
                                    batch is trimmed */
    if (result || batch_bytes(page.batch) >= batch_bytes(held->batch)) {
        page_drop(&page);
        return result;
    }
    point_lines_at(memory, page.batch);
    held_replace(&memory->queue, held, page.batch);
    return 0;
}

/* Compacts the next batch from `id` on that is more than half dead; `*id` moves behind it, to 0 at
 * the end. Takes the lock for each batch, so that others do not wait long. */
static int compact_next(struct memory *memory, uint64_t *id)
{
    int result = 0;
    pthread_rwlock_wrlock(&memory->lock);
    size_t i = held_find(&memory->queue, *id);
    if (memory->lagging.count) /* A line that still lists trimmed events points into the batch: wait
                                  for the next turn. */
        i = memory->queue.end;
    while (i < memory->queue.end &&
           (!memory->queue.held[i].batch ||
            memory->queue.held[i].live * 2 >= memory->queue.held[i].appended))
        i++;
    *id = i < memory->queue.end ? memory->queue.held[i].last + 1 : 0;
    if (*id)
        result = compact(memory, &memory->queue.held[i]);
    pthread_rwlock_unlock(&memory->lock);
    return result;
}

/* Whether the chunk can be freed: no line of it has an event, nor an id without which a trimmed
 * event in some batch would be shown again. */
static bool is_spent(const struct memory *memory, const struct chunk *chunk)
{
    uint64_t first = held_oldest(&memory->queue);
    for (size_t i = 0; i < CHUNK; i++)
        if (chunk->lines[i].count || chunk->lines[i].trimmed >= first)
            return false;
    return true;
}

static void sweep_next(struct memory *memory)
{
    size_t at = memory->swept++ % memory->chunks_cap;
    struct chunk *chunk = memory->chunks[at];
    if (!chunk || !is_spent(memory, chunk))
        return;
    free(chunk);
    memory->chunks[at] = NULL;
    memory->index_bytes -= sizeof(*chunk) + HEAP_OVERHEAD;
}

/* Takes the lock for each chunk anew, so that no append waits for more than one. */
static void sweep(struct memory *memory)
{
    for (size_t n = 0, cap = 1; n < SWEEP && n < cap; n++) {
        pthread_rwlock_wrlock(&memory->lock);
        cap = memory->chunks_cap;
        if (cap)
            sweep_next(memory);
        pthread_rwlock_unlock(&memory->lock);
    }
}

/* Free the chunks in steps, so that appends and reads need not wait long for the lock. */
static bool memory_drop_trimmed(struct store *store)
{
    struct memory *memory = of(store);
    pthread_rwlock_wrlock(&memory->lock);
    bool lags = memory->lagging.count > 0;
    struct line *line = lags ? line_of(memory, numbers_first(&memory->lagging)) : NULL;
    if (lags && (!line || !drop_dead(memory, line, DROPS))) {
        (void)numbers_pop(&memory->lagging);
        if (line)
            line->lags = false;
    }
    pthread_rwlock_unlock(&memory->lock);
    return lags;
}

static int memory_upkeep(struct store *store)
{
    int result = 0;
    while (memory_drop_trimmed(store))
        ;
    for (uint64_t id = 1; id && !result;)
        result = compact_next(of(store), &id);
    sweep(of(store));
    return result;
}

static int memory_forget(struct store *store, const struct store_trim *namespaces,
                         size_t namespaces_count, const uint32_t *numbers, size_t count)
{
    struct memory *memory = of(store);
    (void)namespaces_count;
    (void)namespaces; /* a store in memory ends with the process */
    pthread_rwlock_wrlock(&memory->lock);
    memory->drops_left = DROPS;
    for (size_t i = 0; i < count; i++)
        trim_line(memory, numbers[i], held_newest(&memory->queue));
    pthread_rwlock_unlock(&memory->lock);
    for (size_t i = 0; memory->released && i < count; i++)
        memory->released(memory->context, numbers[i]);
    return 0;
}

static uint64_t memory_bytes(struct store *store)
{
    struct memory *memory = of(store);
    pthread_rwlock_rdlock(&memory->lock);
    uint64_t bytes = held_bytes(memory);
    pthread_rwlock_unlock(&memory->lock);
    return bytes;
}

static bool keep_id(void *context, uint32_t number, uint64_t id, size_t bytes)
{
    (void)number;
    (void)bytes;
    *(uint64_t *)context = id;
    return false;
}

static uint64_t memory_oldest(struct store *store)
{
    uint64_t oldest = 0;
    (void)memory_walk(store, 0, EVENT_ID_MAX, keep_id, &oldest);
    return oldest;
}

static void free_chunk(struct chunk *chunk)
{
    for (size_t i = 0; chunk && i < CHUNK; i++)
        line_deinit(&chunk->lines[i]);
    free(chunk);
}

static void memory_close(struct store *store)
{
    struct memory *memory = of(store);
    held_deinit(&memory->queue);
    for (size_t i = 0; i < memory->chunks_cap; i++)
        free_chunk(memory->chunks[i]);
    free(memory->chunks);
    numbers_deinit(&memory->lagging);
    pthread_rwlock_destroy(&memory->lock);
    free(memory);
}

int store_memory_open(const struct store_config *config, struct store **ret_store)
{
    static const struct store_ops ops = {
        .append = memory_append,
        .read = memory_read,
        .find_time = memory_find_time,
        .find_cuts = memory_find_cuts,
        .walk = memory_walk,
        .trim = memory_trim,
        .drop_trimmed = memory_drop_trimmed,
        .upkeep = memory_upkeep,
        .forget = memory_forget,
        .bytes = memory_bytes,
        .oldest = memory_oldest,
        .close = memory_close,
    };
    struct memory *memory = mem_alloc(sizeof(*memory));
    memory->store.ops = &ops;
    memory->released = config->released;
    memory->context = config->context;
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
    /* Prefer writers: readers that overlap would otherwise keep an append waiting for ever. */
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&memory->lock, &attributes);
    pthread_rwlockattr_destroy(&attributes);
    *ret_store = &memory->store;
    return 0;
}
