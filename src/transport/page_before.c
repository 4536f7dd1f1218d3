/* Pages that scroll back: the newest `limit` events below an id.
 *
 * A reader's thread walks back from the id in slices. Each slice that finds events leaves one
 * *part*: its events as JSON, ascending. The parts come newest first and are joined in reverse once
 * the job has ended, on the worker's thread.
 *
 * The job ends when the page is full, when the log's beginning is reached, when its allowance of
 * slices is spent, or when the worker's reads have found so much that it has to give way
 * (log/ask.h). In the last two cases the page has what was found, which may be nothing, and
 * its link rel="prev" goes on from where the walk stopped. */
#include "transport/page_before.h"

#include "transport/page_answer.h"

#include <errno.h>
#include <stdlib.h>

enum { PARTS_FIRST = 4 };

struct before {
    struct question question;
    struct exchange *exchange;
    struct reading *reading;
    struct log *log;
    struct buf *parts;
    unsigned parts_count;
    unsigned parts_cap;
    size_t held;   /* by the parts */
    size_t bytes;  /* of data */
    uint64_t upto; /* all above it was looked at; 0 at the beginning of the log */
    uint64_t first;
    uint64_t last;
    uint32_t count;
    bool more; /* an event below `first` exists */
    bool failed;
    int error;
};

/* The index of the first of the batch's newest `wanted` events. */
static uint32_t first_shown(const struct batch *batch, uint32_t wanted)
{
    uint32_t from = batch->count;
    for (; from > 0; from--) {
        if (batch->events[from - 1].state != EVENT_APPENDED)
            continue;
        if (!wanted--)
            break;
    }
    return from;
}

/* Adds a part; NULL if there is no memory. */
static struct buf *next_part(struct before *before)
{
    if (before->parts_count == before->parts_cap) {
        unsigned cap = before->parts_cap ? before->parts_cap * 2 : PARTS_FIRST;
        struct buf *parts = mem_try_realloc(before->parts, cap * sizeof(*parts));
        if (!parts)
            return NULL;
        before->parts = parts;
        before->parts_cap = cap;
    }
    before->parts[before->parts_count] = (struct buf){0};
    return &before->parts[before->parts_count];
}

/* Takes what a slice has found. The slice asks for one event more than the page wants: it is not
 * shown, and tells that there is more. */
static void take(struct before *before, const struct batch *batch)
{
    unsigned encoding = encoding_of(FORMAT_PAGE, before->reading->data, false, 0);
    uint32_t from = first_shown(batch, before->reading->limit - before->count);
    struct buf *part = next_part(before);
    uint64_t first = 0, last = 0;
    if (!part) {
        before->failed = true;
        return;
    }
    for (uint32_t i = from; i < batch->count; i++) {
        const struct event *event = &batch->events[i];
        if (event->state != EVENT_APPENDED)
            continue;
        first = first ? first : event->id;
        last = event->id;
        before->count++;
        before->bytes += event->data.len;
        encode_event(NULL, encoding, part, event);
    }
    before->more = from > 0;
    before->first = first ? first : before->first;
    before->last = before->last ? before->last : last;
    before->parts_count += part->len > 0;
    before->failed = before->failed || buf_failed(part);
    before->held += part->cap + sizeof(*part);
}

static bool before_slice(struct before *before, struct log *log)
{
    struct store_query query = {.upto = before->upto,
                                .backwards = true,
                                .limit = before->reading->limit - before->count + 1,
                                .bytes = PAGE_BYTES - before->bytes,
                                .rows = LOG_SLICE_ROWS,
                                .brief = !before->question.job.slices};
    struct batch *batch;
    uint64_t through;
    before->error = log_read(log, &query, before->reading->selection, &batch, &through);
    if (before->error == -EAGAIN) {
        before->error = 0;
        return false;
    }
    if (before->error)
        return true;
    take(before, batch);
    batch_unref(batch);
    before->upto = through && through <= before->upto ? through - 1 : 0;
    before->more = before->more || (before->bytes >= PAGE_BYTES && before->upto);
    return before->more || before->failed || !before->upto;
}

static bool look_back(struct question *question, struct log *log)
{
    struct before *before = container_of(question, struct before, question);
    bool done = before_slice(before, log);
    question_found(question, before->held);
    return done;
}

static void join(struct before *before, struct buf *events)
{
    for (unsigned i = before->parts_count; i-- > 0;)
        buf_add_str(events, buf_str(&before->parts[i]));
}

static void before_free(struct before *before)
{
    reading_free(before->reading);
    for (unsigned i = 0; i < before->parts_count; i++)
        buf_free(&before->parts[i]);
    free(before->parts);
    question_end(&before->question);
    free(before);
}

/* The id up to which the client will know of gaps, if that is not its cursor. The next request
 * reports events lost between those of the page. */
static uint64_t told_at(const struct before *before, uint64_t cursor)
{
    uint64_t told = before->reading->start.told, lost = log_lost(before->log);
    if (told < lost && before->upto < lost && lost <= cursor)
        return PAGE_KNOWS_NO_GAP;
    return told > cursor ? told : 0;
}

static void answer(struct before *before)
{
    struct exchange *exchange = before->exchange;
    struct buf events = {0};
    if (before->question.job.spent)
        worker_put_off(exchange->worker, BUDGET_SEARCH);
    join(before, &events);
    uint64_t cursor = before->count ? before->last : before->reading->before - 1;
    struct page_content content = {.events = buf_str(&events),
                                   .cursor = cursor,
                                   .told = told_at(before, cursor),
                                   .first = before->more   ? before->first
                                            : before->upto ? before->upto + 1
                                                           : 0,
                                   .more = before->more || before->upto};
    if (before->error || before->failed || buf_failed(&events))
        exchange_problem(exchange, PROBLEM_UNAVAILABLE, STR("the store cannot be read: try again"),
                         STR_NONE);
    else
        page_answer(exchange, before->reading, &content);
    buf_free(&events);
}

static void before_answered(struct question *question)
{
    struct before *before = container_of(question, struct before, question);
    if (exchange_is_answered(before->exchange))
        answer(before);
    before_free(before);
}

static const struct question_ops question_ops = {
    .slice = look_back, .answered = before_answered, .slices_max = LOG_REQUEST_SLICES};

void page_before_begin(struct exchange *exchange, struct reading *reading)
{
    struct log *log = exchange->worker->config.log;
    struct before *before = mem_try_alloc(sizeof(*before));
    if (!before) {
        exchange_problem(exchange, PROBLEM_UNAVAILABLE, STR("no memory: try again"), STR_NONE);
        reading_free(reading);
        return;
    }
    if (reading->before > log_newest(log))
        reading->before = log_newest(log) + 1;
    if (!reading->before)
        reading->before = 1;
    /* Trimmed events are no gap for a client that scrolls back. */
    reading->start.told = log_trimmed_from(log, reading->selection, 0);
    *before = (struct before){
        .exchange = exchange, .reading = reading, .upto = reading->before - 1, .log = log};
    question_init(&before->question, &exchange->worker->asker, &question_ops);
    exchange_ask(exchange, &before->question);
}
