#include "transport/page.h"

#include "transport/page_answer.h"

#include <errno.h>
#include <stdlib.h>

enum { PAGE_BYTES = 1 << 20, BEFORE_ROWS = 100000 };

/* A page on its way: a subscriber that ends when it has something. */
struct page_wait {
    struct pull pull;
    struct sub sub;
    struct exchange *exchange; /* open as long as this lives */
    struct reading *reading;
    struct start_search *search;
    struct buf events; /* JSON, each with a comma behind it */
    uint32_t count;
    bool expired;
};

/* ---- gathering ------------------------------------------------------------------------------- */

/* Moves records from what was taken into the page; true when the page is full. */
static bool put(struct page_wait *wait, const struct taken *taken)
{
    const struct chunk *chunk = taken->chunk;
    uint32_t record = taken->first;
    size_t start = chunk_start(chunk, record);
    bool full = false;
    while (record < taken->end && !full) {
        size_t size = chunk->records[record].end - chunk_start(chunk, record);
        full = wait->count >= wait->reading->limit ||
               (wait->count && wait->events.len + size > PAGE_BYTES);
        if (full)
            break;
        buf_add(&wait->events, chunk->bytes.at + chunk_start(chunk, record), size);
        wait->count++;
        record++;
    }
    struct str rest;
    hub_sent(&wait->exchange->worker->hub, &wait->sub, chunk_start(chunk, record) - start, false,
             &rest);
    return full;
}

static void release(struct page_wait *wait, struct worker *worker)
{
    if (wait->search)
        wait->search->owner = NULL;
    stat_add(&worker->stats.subscribers[VIA_POLL], UINT64_MAX);
    hub_unsubscribe(&worker->hub, &wait->sub);
    reading_free(wait->reading);
    buf_free(&wait->events);
    free(wait);
}

static void finish(struct page_wait *wait, bool more)
{
    struct exchange *exchange = wait->exchange;
    struct worker *worker = exchange->worker;
    struct page_content content = {.events = buf_str(&wait->events),
                                   .cursor = more ? wait->sub.cursor : hub_applied(&worker->hub),
                                   .more = more};
    exchange_detach(exchange);
    if (buf_failed(&wait->events))
        exchange_problem(exchange, PROBLEM_UNAVAILABLE, STR("no memory: try again"), STR_NONE);
    else
        page_answer(exchange, wait->reading, &content);
    release(wait, worker);
}

static void finish_gap(struct page_wait *wait, uint64_t after, uint64_t trimmed)
{
    struct exchange *exchange = wait->exchange;
    struct worker *worker = exchange->worker;
    exchange_detach(exchange);
    page_answer_gap(exchange, wait->reading, after, trimmed);
    release(wait, worker);
}

static void fail(struct page_wait *wait)
{
    struct exchange *exchange = wait->exchange;
    struct worker *worker = exchange->worker;
    exchange_detach(exchange);
    exchange_problem(exchange, PROBLEM_UNAVAILABLE, STR("the store cannot be read: try again"),
                     STR_NONE);
    release(wait, worker);
}

/* Who did not say where it was has missed nothing: what goes while its page is read is not a gap.
 */
static bool claims_nothing(const struct reading *reading)
{
    const struct start *start = &reading->start;
    return start->kind == START_EARLIEST || start->kind == START_LAST ||
           start->kind == START_TIME || (start->kind == START_CURSOR && !start->id);
}

static void look(struct page_wait *wait)
{
    struct hub *hub = &wait->exchange->worker->hub;
    struct taken taken;
    for (;;) {
        switch (hub_take(hub, &wait->sub, &taken)) {
        case TAKE_BYTES:
            if (!put(wait, &taken))
                continue;
            finish(wait, true);
            return;
        case TAKE_GAP:
            if (!wait->count && claims_nothing(wait->reading))
                continue;
            /* Once there is something in the page, the gap is the next one's to tell. */
            if (wait->count)
                finish(wait, true);
            else
                finish_gap(wait, wait->sub.cursor, taken.trimmed);
            return;
        case TAKE_FAILED:
            fail(wait);
            return;
        case TAKE_WAIT:
            return;
        case TAKE_NOTHING:
            if (wait->count || !wait->reading->wait_s || wait->expired)
                finish(wait, false);
            return;
        }
    }
}

static void wake(struct sub *sub)
{
    session_woken(container_of(sub, struct page_wait, sub)->pull.session, sub);
}

static const struct sub_ops sub_ops = {wake};

/* ---- as a pull ------------------------------------------------------------------------------- */

static struct page_wait *of_pull(struct pull *pull)
{
    return container_of(pull, struct page_wait, pull);
}

static struct str fill(struct pull *pull)
{
    struct page_wait *wait = of_pull(pull);
    if (wait->sub.state != SUB_NONE)
        look(wait);
    return STR_NONE; /* the answer is the session's to send */
}

static bool sent(struct pull *pull, size_t n, bool blocked)
{
    (void)pull;
    (void)n;
    (void)blocked;
    return true;
}

static void ring(struct pull *pull)
{
    struct page_wait *wait = of_pull(pull);
    wait->expired = true;
    if (sub_is_live(&wait->sub))
        finish(wait, false);
}

static void free_pull(struct pull *pull)
{
    struct page_wait *wait = of_pull(pull);
    struct exchange *exchange = wait->exchange;
    release(wait, exchange->worker);
    exchange_free(exchange);
}

static const struct pull_ops pull_ops = {fill, sent, NULL, NULL, ring, ring, free_pull, false};
static const struct pull_ops brief_ops = {fill, sent, NULL, NULL, ring, ring, free_pull, true};

/* ---- beginning ------------------------------------------------------------------------------- */

static void begin(struct page_wait *wait)
{
    struct worker *worker = wait->exchange->worker;
    struct reading *reading = wait->reading;
    if (reading->unknown) {
        finish_gap(wait, reading->claimed, reading->told);
        return;
    }
    unsigned way = encode_way(ENCODE_PAGE, reading->data, false, 0);
    if (hub_subscribe(&worker->hub, &wait->sub, &sub_ops, reading->selection, way, reading->cursor,
                      reading->told)) {
        fail(wait);
        return;
    }
    if (reading->wait_s)
        session_ring_in(wait->pull.session, (int64_t)reading->wait_s * 1000);
    look(wait);
}

static void found(void *owner, int error, uint64_t cursor, uint64_t told)
{
    struct page_wait *wait = owner;
    wait->search = NULL;
    wait->reading->cursor = cursor;
    wait->reading->told = told;
    if (error)
        fail(wait);
    else
        begin(wait);
}

/* ---- scrolling back: before=ID --------------------------------------------------------------- */

struct before {
    struct log_job job;
    struct exchange *exchange;
    struct reading *reading;
    struct hub *hub;
    struct buf events;
    uint64_t first;
    uint64_t last;
    uint32_t count;
    bool more;
    int error;
};

/* The newest below `before`; one more than wanted tells whether there is more. */
static int read_before(struct before *before, struct log *log, struct batch **ret_batch)
{
    uint64_t upto = before->reading->before - 1;
    for (;;) {
        struct store_query query = {.upto = upto,
                                    .backwards = true,
                                    .limit = before->reading->limit + 1,
                                    .bytes = PAGE_BYTES,
                                    .rows = BEFORE_ROWS};
        uint64_t through;
        int result = log_read(log, &query, before->reading->selection, ret_batch, &through);
        if (result || (*ret_batch)->count || !through || through > upto)
            return result;
        *ret_batch = batch_unref(*ret_batch);
        upto = through - 1;
        if (!upto)
            return (*ret_batch = batch_new()) ? 0 : -ENOMEM;
    }
}

static void before_run(struct log_job *job, struct log *log)
{
    struct before *before = container_of(job, struct before, job);
    struct batch *batch = NULL;
    unsigned way = encode_way(ENCODE_PAGE, before->reading->data, false, 0);
    before->error = read_before(before, log, &batch);
    if (before->error)
        return;
    uint32_t first =
        batch->count > before->reading->limit ? batch->count - before->reading->limit : 0;
    size_t bytes = 0;
    for (uint32_t i = first; i < batch->count; i++)
        bytes += batch->events[i].data.len;
    before->more = first > 0 || bytes >= PAGE_BYTES;
    for (uint32_t i = first; i < batch->count; i++) {
        const struct event *event = &batch->events[i];
        if (event->state != EVENT_APPENDED)
            continue;
        if (!before->count++)
            before->first = event->id;
        before->last = event->id;
        encode_event(NULL, way, &before->events, event);
    }
    batch_unref(batch);
}

static void before_done(struct mail *mail, void *owner)
{
    (void)owner;
    struct before *before = container_of(mail, struct before, job.mail);
    struct exchange *exchange = before->exchange;
    struct page_content content = {.events = buf_str(&before->events),
                                   .cursor =
                                       before->count ? before->last : before->reading->before - 1,
                                   .first = before->more ? before->first : 0,
                                   .more = before->more};
    before->hub->reads--;
    if (exchange->dropped)
        exchange_free(exchange);
    else if (before->error || buf_failed(&before->events))
        exchange_problem(exchange, PROBLEM_UNAVAILABLE, STR("the store cannot be read: try again"),
                         STR_NONE);
    else
        page_answer(exchange, before->reading, &content);
    reading_free(before->reading);
    buf_free(&before->events);
    free(before);
}

static void begin_before(struct exchange *exchange, struct reading *reading)
{
    struct hub *hub = &exchange->worker->hub;
    struct before *before = mem_alloc(sizeof(*before));
    if (reading->before > log_newest(hub->log))
        reading->before = log_newest(hub->log) + 1;
    if (!reading->before)
        reading->before = 1;
    *before = (struct before){
        .job = {.run = before_run, .reply = hub->mailbox, .mail = {NULL, before_done}},
        .exchange = exchange,
        .reading = reading,
        .hub = hub};
    hub->reads++;
    log_submit(hub->log, &before->job);
}

void page_begin(struct exchange *exchange, struct reading *reading)
{
    struct worker *worker = exchange->worker;
    if (reading->has_before) {
        begin_before(exchange, reading);
        return;
    }
    struct page_wait *wait = mem_alloc(sizeof(*wait));
    *wait = (struct page_wait){.pull = {.ops = reading->wait_s ? &pull_ops : &brief_ops},
                               .exchange = exchange,
                               .reading = reading};
    stat_add(&worker->stats.subscribers[VIA_POLL], 1);
    if (!exchange_attach(exchange, &wait->pull)) {
        release(wait, worker);
        exchange_free(exchange);
        return;
    }
    if (start_is_known(&worker->hub, reading->selection, &reading->start, reading)) {
        begin(wait);
        return;
    }
    wait->search = start_search(&worker->hub, reading->selection, &reading->start, wait, found);
    if (!wait->search)
        fail(wait);
}
