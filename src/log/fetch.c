/* A read forwards, slice by slice, that shares its scan with others.
 *
 * A pattern with many channels is read by a scan of all rows between the cursor and the newest
 * event. A thousand consumers that come back at once, each with its own pattern, would make a
 * thousand scans of the same rows. So a slice that has to scan takes along other queued fetches
 * that scan:
 *
 *     at the start    |---- slice ----|
 *     further                |--------|         joins at its cursor
 *     too far                             |     gets nothing, and keeps its turn
 *
 * The rows are read once, for the channels of all. Each fetch copies the events that it wants, and
 * leaves when its page is full.
 *
 * The start of a slice is a matter of fairness. A new fetch starts at its own cursor: it may be
 * short and must not wait for others. A fetch that has had slices is long. It starts at the lowest
 * cursor of the long fetches, so that they meet and continue as one. But one in eight of its slices
 * starts at its own cursor; otherwise fetches from the beginning of the log could hold it up for
 * ever.
 *
 * Only fetches with the same types scan together, since the store looks at types before it reads
 * the data. The bytes that a slice copies are bounded, for all of its fetches together. */
#include "log/fetch.h"

#include "log/candidates.h"
#include "log/log_internal.h"
#include "log/read.h"
#include "log/store/page.h"

#include <errno.h>

enum {
    TOGETHER_MAX = 256,
    TOGETHER_EVENTS = 4096,
    TOGETHER_BYTES = 1 << 20,
    COPIED_MAX = 8 << 20,
    OWN_EACH = 8,
    CROWD = 32, /* fetches from which on a slice looks at more rows, since each fetch has a fixed
                 * cost */
    CROWD_ROWS = 4 * LOG_SLICE_ROWS,
};

/* ---- a fetch by itself ----------------------------------------------------------------------- */

static struct log_fetch *of_job(struct log_job *job)
{
    return container_of(job, struct log_fetch, question.job);
}

static bool is_full(const struct log_fetch *fetch)
{
    const struct batch *batch = fetch->batch;
    return batch && batch->count &&
           (batch->count >= fetch->query.limit || fetch->bytes >= fetch->query.bytes);
}

static bool is_done(const struct log_fetch *fetch)
{
    return fetch->error || is_full(fetch) || fetch->through >= fetch->query.upto ||
           fetch->rows >= fetch->query.rows;
}

static void fail(struct log_fetch *fetch, int error)
{
    fetch->batch = batch_unref(fetch->batch);
    fetch->error = error;
}

/* Copies an event into the page. Returns 0 or -ENOMEM. */
static int add(struct log_fetch *fetch, struct page *page, const struct event *event)
{
    if (!fetch->batch)
        fetch->batch = page->batch = batch_new();
    if (!fetch->batch || page_add(page, event))
        return -ENOMEM;
    fetch->bytes += event->data.len;
    return 0;
}

static void count_found(struct log_fetch *fetch)
{
    question_found(&fetch->question, fetch->batch ? batch_bytes(fetch->batch) : 0);
}

static struct page page_of(struct log_fetch *fetch)
{
    return (struct page){.query = &fetch->query, .batch = fetch->batch};
}

/* Whether no event of the batch was trimmed since it was read. */
static bool is_all_shown(const struct batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++)
        if (batch->events[i].state != EVENT_APPENDED)
            return false;
    return batch->count > 0;
}

/* Takes over a batch that is only for this fetch. Events that were trimmed are dropped: otherwise
 * they would fill the page, although no client may see them. */
static void take(struct log_fetch *fetch, struct batch *batch)
{
    struct page page = page_of(fetch);
    int result = 0;
    if (!fetch->batch && is_all_shown(batch)) {
        fetch->batch = batch;
        for (uint32_t i = 0; i < batch->count; i++)
            fetch->bytes += batch->events[i].data.len;
        return;
    }
    for (uint32_t i = 0; !result && i < batch->count; i++)
        if (batch->events[i].state == EVENT_APPENDED)
            result = add(fetch, &page, &batch->events[i]);
    batch_unref(batch);
    if (result)
        fail(fetch, result);
}

static void read_alone(struct log_fetch *fetch, struct log *log, const struct channel_set *set)
{
    uint64_t looked = 0, left = fetch->query.rows - fetch->rows;
    struct store_query slice = fetch->query;
    struct batch *batch;
    slice.selection = fetch->selection;
    slice.after = fetch->through;
    slice.limit -= fetch->batch ? fetch->batch->count : 0;
    slice.bytes -= fetch->bytes;
    slice.rows = left < LOG_SLICE_ROWS ? left : LOG_SLICE_ROWS;
    slice.looked = &looked;
    slice.brief = !fetch->question.job.slices;
    int result = log_read_set(log, &slice, set, &batch, &fetch->through);
    if (result)
        fail(fetch, result);
    else
        take(fetch, batch);
    fetch->rows += looked ? looked : 1;
}

/* ---- together -------------------------------------------------------------------------------- */

struct together {
    struct log *log;
    struct log_fetch *lead;
    struct channel_set *set;
    struct log_job *jobs[TOGETHER_MAX]; /* the jobs beside the lead's */
    size_t count;
    struct batch *batch; /* the events for all */
    uint64_t through;
    uint64_t looked;
    size_t copied;
};

static bool same_types(const struct selection *a, const struct selection *b)
{
    if (a->types_count != b->types_count)
        return false;
    for (uint32_t i = 0; i < a->types_count; i++)
        if (!str_eq(a->types[i], b->types[i]))
            return false;
    return true;
}

static const struct question_ops fetch_ops;

/* Whether the fetch's next slice starts at its own cursor. */
static bool starts_alone(const struct log_fetch *fetch)
{
    return fetch->question.job.slices % OWN_EACH == 0;
}

static bool joins(const struct log_job *job, void *context)
{
    const struct log_fetch *lead = context;
    const struct question *question = question_of(job);
    if (!question || question->ops != &fetch_ops)
        return false;
    const struct log_fetch *fetch = container_of(question, const struct log_fetch, question);
    bool behind = fetch->through < lead->through;
    return !question_is_crowded(&fetch->question) && !fetch->by_index &&
           fetch->through < lead->query.upto && !(behind && (starts_alone(lead) || !job->slices)) &&
           selection_may_scan(fetch->selection) && same_types(fetch->selection, lead->selection);
}

/* Adds the fetch's channels to the set, or returns its job: unchanged if it needs no scan after
 * all, with a slice less if its channels are not all known yet. */
static void try_add(struct together *together, struct log_job *job, uint64_t *steps)
{
    struct log_fetch *fetch = of_job(job);
    int result = channel_set_add(together->set, together->log, fetch->selection, steps);
    fetch->by_index = result > 0;
    if (!result)
        together->jobs[together->count++] = job;
    else if (result == -EAGAIN)
        readers_give(together->log, job, false);
    else
        readers_give_back(together->log, job);
}

/* Adds the channels of all fetches to the set, until the slice's steps are spent or the room for
 * resolved numbers is full (they stay until the slice ends). The other fetches keep their turn. */
static void gather(struct together *together, uint64_t *steps)
{
    struct log_job *jobs[TOGETHER_MAX];
    size_t count = readers_gather(together->log, joins, together->lead, jobs, TOGETHER_MAX);
    size_t added = 0;
    while (added < count && *steps && !resolved_room_is_full(&together->log->resolved))
        try_add(together, jobs[added++], steps);
    while (count > added)
        readers_give_back(together->log, jobs[--count]);
}

/* Extends the slice to begin at this fetch's cursor, and to be large enough for the rest of its
 * page. */
static void widen(struct store_query *slice, const struct log_fetch *fetch)
{
    uint32_t limit = fetch->query.limit - (fetch->batch ? fetch->batch->count : 0);
    size_t bytes = fetch->query.bytes - fetch->bytes;
    slice->limit = limit > slice->limit ? limit : slice->limit;
    slice->bytes = bytes > slice->bytes ? bytes : slice->bytes;
    slice->after = fetch->through < slice->after ? fetch->through : slice->after;
}

/* Reads the rows of the slice. The limit is what the fetch with the most room lacks: rows beyond
 * that would have to be read again. */
static int read_all(struct together *together)
{
    struct store_query slice = {.selection = together->lead->selection,
                                .after = together->lead->through,
                                .upto = together->lead->query.upto,
                                .rows = together->count < CROWD ? LOG_SLICE_ROWS : CROWD_ROWS,
                                .looked = &together->looked,
                                .brief = !together->lead->question.job.slices};
    widen(&slice, together->lead);
    for (size_t i = 0; i < together->count; i++)
        widen(&slice, of_job(together->jobs[i]));
    slice.limit = slice.limit < TOGETHER_EVENTS ? slice.limit : TOGETHER_EVENTS;
    slice.bytes = slice.bytes < TOGETHER_BYTES ? slice.bytes : TOGETHER_BYTES;
    return log_read_set(together->log, &slice, together->set, &together->batch, &together->through);
}

static bool has_number(const struct selection *selection, uint32_t number)
{
    const struct resolved *resolved = selection->resolved;
    return number < resolved->bits && number_set_has(&resolved->set, number);
}

/* Copies the fetch's events. Under the selection's lock. */
static int copy_events(const struct together *together, struct log_fetch *fetch)
{
    const struct batch *batch = together->batch;
    struct page page = page_of(fetch);
    int result = 0;
    for (uint32_t i = 0; i < batch->count && !result && !is_full(fetch); i++) {
        const struct event *event = &batch->events[i];
        if (event->id <= fetch->through || event->id > fetch->query.upto ||
            event->state != EVENT_APPENDED || !has_number(fetch->selection, event->number))
            continue;
        result = add(fetch, &page, event);
    }
    return result;
}

/* The same, or -EAGAIN if another slice has meanwhile begun to resolve the selection anew: its
 * channels are then unknown, and the rows are read again. Under the selection's lock. */
static int copy_if_whole(const struct together *together, struct log_fetch *fetch)
{
    return fetch->selection->resolved->is_whole ? copy_events(together, fetch) : -EAGAIN;
}

static void copy(struct together *together, struct log_fetch *fetch)
{
    size_t before = fetch->bytes;
    uint64_t upto = fetch->query.upto;
    if (fetch->through >= together->through)
        return;
    pthread_mutex_lock(&fetch->selection->resolved->lock);
    int result = copy_if_whole(together, fetch);
    pthread_mutex_unlock(&fetch->selection->resolved->lock);
    if (result == -EAGAIN)
        return;
    if (result)
        fail(fetch, result);
    else if (is_full(fetch))
        fetch->through = fetch->batch->events[fetch->batch->count - 1].id;
    else
        fetch->through = together->through < upto ? together->through : upto;
    fetch->rows += together->looked ? together->looked : 1;
    together->copied += fetch->bytes - before;
}

/* Returns jobs that got nothing, the last first, so that they keep their order. */
static void give_back(struct together *together, size_t count)
{
    while (count-- > 0) {
        channel_set_let_go(of_job(together->jobs[count])->selection);
        readers_give_back(together->log, together->jobs[count]);
    }
}

static void copy_for_others(struct together *together)
{
    size_t left = 0;
    for (size_t i = 0; i < together->count; i++) {
        struct log_fetch *fetch = of_job(together->jobs[i]);
        if (fetch->through >= together->through || together->copied >= COPIED_MAX ||
            question_is_crowded(&fetch->question)) {
            together->jobs[left++] = together->jobs[i];
            continue;
        }
        copy(together, fetch);
        count_found(fetch);
        channel_set_let_go(fetch->selection);
        readers_give(together->log, together->jobs[i], is_done(fetch));
    }
    give_back(together, left);
}

static void scan_together(struct together *together)
{
    int result = read_all(together);
    if (result) {
        fail(together->lead, result);
        give_back(together, together->count);
        return;
    }
    copy(together, together->lead);
    copy_for_others(together);
    batch_unref(together->batch);
}

/* ---- the job --------------------------------------------------------------------------------- */

static bool read_slice(struct log_fetch *fetch, struct log *log)
{
    struct channel_set set = {0};
    struct together together = {.log = log, .lead = fetch, .set = &set};
    uint64_t steps = fetch->question.job.slices ? RESOLVE_STEPS : RESOLVE_BRIEF;
    int result = channel_set_add(&set, log, fetch->selection, &steps);
    if (result == -EAGAIN) {
        channel_set_deinit(&set);
        return false;
    }
    bool holds = !result && set.scans;
    fetch->by_index = !result && !set.scans;
    if (!result && set.scans)
        gather(&together, &steps);
    if (result)
        fail(fetch, result);
    else if (together.count)
        scan_together(&together);
    else
        read_alone(fetch, log, &set);
    if (holds)
        channel_set_let_go(fetch->selection);
    channel_set_deinit(&set);
    return is_done(fetch);
}

static bool fetch_slice(struct question *question, struct log *log)
{
    struct log_fetch *fetch = container_of(question, struct log_fetch, question);
    bool done = read_slice(fetch, log);
    count_found(fetch);
    return done;
}

static void answered(struct question *question)
{
    struct log_fetch *fetch = container_of(question, struct log_fetch, question);
    fetch->done(fetch);
}

static const struct question_ops fetch_ops = {.slice = fetch_slice, .answered = answered};

void log_fetch_init(struct log_fetch *fetch, struct asker *asker, struct selection *selection,
                    const struct store_query *query, void (*done)(struct log_fetch *fetch))
{
    *fetch = (struct log_fetch){
        .selection = selection_ref(selection),
        .query = *query,
        .done = done,
        .through = query->after,
    };
    question_init(&fetch->question, asker, &fetch_ops);
}

void log_fetch_deinit(struct log_fetch *fetch)
{
    batch_unref(fetch->batch);
    selection_unref(fetch->selection);
}
