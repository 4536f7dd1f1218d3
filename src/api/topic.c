#include "api/topic.h"

#include "api/channel.h"
#include "transport/reading.h"

#include <stdlib.h>

/* A topic that is being read. */
struct topic_read {
    struct log_job job;
    struct read_place place; /* where the batch counts */
    struct exchange *exchange;
    struct selection *selection;
    struct buf channel;
    struct batch *batch; /* with the event, if there is one */
    uint64_t upto;       /* all above it was looked at */
    int error;
};

/* ---- on a reader's thread -------------------------------------------------------------------- */

static bool has_event(const struct batch *batch)
{
    return batch->count && batch->events[batch->count - 1].state == EVENT_APPENDED;
}

/* A slice of the way back from the newest event, until there is one of the channel. */
static bool read_newest(struct log_job *job, struct log *log)
{
    struct topic_read *read = container_of(job, struct topic_read, job);
    struct store_query query = {.after = log_trimmed(log, read->selection),
                                .upto = read->upto,
                                .backwards = true,
                                .limit = 1,
                                .bytes = 1,
                                .rows = LOG_SLICE_ROWS,
                                .brief = !job->slices};
    struct batch *batch = NULL;
    uint64_t through = 0;
    if (read_place_is_full(&read->place)) {
        read_place_stop(&read->place);
        return true;
    }
    read->error = log_read(log, &query, read->selection, &batch, &through);
    if (!read->error && has_event(batch)) {
        read->batch = batch;
        read_place_has(&read->place, batch_bytes(batch));
        return true;
    }
    batch_unref(batch);
    read->upto = through && through <= read->upto ? through - 1 : 0;
    return read->error || read->upto <= query.after;
}

/* ---- on the worker's ------------------------------------------------------------------------- */

static struct str content_type_of(const struct event *event)
{
    if (event->kind == EVENT_JSON)
        return STR("application/json");
    return event->kind == EVENT_TEXT ? STR("text/plain; charset=utf-8") : event->content_type;
}

static void answer(struct topic_read *read)
{
    struct exchange *exchange = read->exchange;
    if (read->error || read->job.spent || read->job.cancelled) {
        api_problem(exchange, PROBLEM_UNAVAILABLE, "the store cannot be read: try again");
        return;
    }
    if (!read->batch) {
        api_problem(exchange, PROBLEM_NOT_FOUND, "the channel holds no event");
        return;
    }
    const struct event *event = &read->batch->events[read->batch->count - 1];
    struct buf *out = exchange_head(exchange, 200);
    reading_add_topic(out, api_of(exchange)->base, buf_str(&read->channel));
    buf_add_lit(out, "ETag: \"");
    buf_add_id(out, event->id);
    buf_add_lit(out,
                "\"\r\nX-Content-Type-Options: nosniff\r\nContent-Security-Policy: sandbox\r\n");
    exchange_body(exchange, content_type_of(event), event->data);
}

static void topic_free(struct topic_read *read)
{
    selection_unref(read->selection);
    batch_unref(read->batch);
    buf_free(&read->channel);
    if (read->place.room)
        read_place_end(&read->place);
    free(read);
}

static void was_read(struct mail *mail, void *owner)
{
    (void)owner;
    struct topic_read *read = container_of(mail, struct topic_read, job.mail);
    if (read_place_waits(&read->place, !read->exchange->dropped))
        return;
    read->exchange->worker->hub.reads--;
    read->exchange->job = NULL;
    if (read->exchange->dropped)
        exchange_free(read->exchange);
    else
        answer(read);
    topic_free(read);
}

void topic_handle(struct exchange *exchange, struct str rest)
{
    struct topic_read *read = mem_try_alloc(sizeof(*read));
    if (!read) {
        api_problem(exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
        return;
    }
    *read = (struct topic_read){.exchange = exchange};
    if (!channel_from_path(exchange, rest, &read->channel)) {
        topic_free(read);
        return;
    }
    struct str name = buf_str(&read->channel);
    read->selection = selection_new(&name, 1, NULL, 0, NULL);
    if (!read->selection) {
        api_problem(exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
        topic_free(read);
        return;
    }
    read->upto = log_newest(api_of(exchange)->log);
    read->job = (struct log_job){.run = read_newest,
                                 .reply = &exchange->worker->loop.mailbox,
                                 .mail = {NULL, was_read},
                                 .slices_max = LOG_REQUEST_SLICES};
    exchange->worker->hub.reads++;
    exchange_await(exchange, &read->job);
    read_place_begin(&read->place, &exchange->worker->hub.read_room, &read->job);
}
