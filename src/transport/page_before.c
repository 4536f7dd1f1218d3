#include "transport/page_before.h"

#include "transport/page_answer.h"

#include <errno.h>
#include <stdlib.h>

enum { BEFORE_ROWS = 100000 };

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

void page_before_begin(struct exchange *exchange, struct reading *reading)
{
    struct hub *hub = &exchange->worker->hub;
    struct before *before = mem_try_alloc(sizeof(*before));
    if (!before) {
        exchange_problem(exchange, PROBLEM_UNAVAILABLE, STR("no memory: try again"), STR_NONE);
        reading_free(reading);
        return;
    }
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
