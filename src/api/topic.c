#include "api/topic.h"

#include "api/answers.h"
#include "api/channel.h"
#include "http/condition.h"
#include "subscribe/subscription.h"
#include "transport/reading.h"

#include <stdlib.h>

enum { KNOWN_MAX = 16, ETAG_LEN = 16 };

/* A search for the newest event of a topic. */
struct topic_read {
    struct question question;
    struct exchange *exchange;
    struct selection *selection;
    struct buf channel;
    struct batch *batch; /* has the event, if there is one */
    uint64_t upto;       /* everything above it was looked at */
    int error;
    struct {
        uint64_t ids[KNOWN_MAX];
        size_t count;
        bool any;
    } known; /* the tags of If-None-Match, copied: the request's head is gone when the event is
                found */
};

/* ---- on a reader's thread -------------------------------------------------------------------- */

static bool has_event(const struct batch *batch)
{
    return batch->count && batch->events[batch->count - 1].state == EVENT_APPENDED;
}

/* A slice of the search backwards from the newest event. */
static bool read_newest(struct question *question, struct log *log)
{
    struct topic_read *read = container_of(question, struct topic_read, question);
    struct store_query query = {.upto = read->upto,
                                .backwards = true,
                                .limit = 1,
                                .bytes = 1,
                                .rows = LOG_SLICE_ROWS,
                                .brief = !question->job.slices};
    struct batch *batch = NULL;
    uint64_t through = 0;
    read->error = log_read(log, &query, read->selection, &batch, &through);
    if (!read->error && has_event(batch)) {
        read->batch = batch;
        question_found(question, batch_bytes(batch));
        return true;
    }
    batch_unref(batch);
    read->upto = through && through <= read->upto ? through - 1 : 0;
    return read->error || !read->upto;
}

/* ---- on the worker's ------------------------------------------------------------------------- */

static bool is_known(const struct topic_read *read, uint64_t id)
{
    bool known = read->known.any;
    for (size_t i = 0; i < read->known.count; i++)
        known = known || read->known.ids[i] == id;
    return known;
}

static void answer_event(const struct topic_read *read, const struct event *event)
{
    struct exchange *exchange = read->exchange;
    bool known = is_known(read, event->id);
    struct response response;
    response_init(&response, known ? 304 : 200);
    response.bodiless = known;
    reading_add_topic(&response, api_of(exchange)->base, buf_str(&read->channel));
    struct buf *etag = response_compose(&response, STR("ETag"));
    buf_add_char(etag, '"');
    buf_add_id(etag, event->id);
    buf_add_char(etag, '"');
    if (known) {
        response_gzip_vary(&response, event_media_type(event), event->data.len);
    } else {
        response_add(&response, STR("X-Content-Type-Options"), STR("nosniff"));
        response_add(&response, STR("Content-Security-Policy"), STR("sandbox"));
        response.type = event_media_type(event);
        response.body[0] = event->data;
    }
    exchange_respond(exchange, &response);
}

static void answer(struct topic_read *read)
{
    struct exchange *exchange = read->exchange;
    if (read->error || read->question.job.spent || read->question.job.cancelled) {
        api_problem(exchange, PROBLEM_UNAVAILABLE, "the store cannot be read: try again");
        return;
    }
    if (!read->batch) {
        api_problem(exchange, PROBLEM_NOT_FOUND, "the channel holds no event");
        return;
    }
    answer_event(read, &read->batch->events[read->batch->count - 1]);
}

static void topic_free(struct topic_read *read)
{
    selection_unref(read->selection);
    batch_unref(read->batch);
    buf_free(&read->channel);
    free(read);
}

static void was_read(struct question *question)
{
    struct topic_read *read = container_of(question, struct topic_read, question);
    if (exchange_is_answered(read->exchange))
        answer(read);
    question_end(question);
    topic_free(read);
}

static const struct question_ops question_ops = {
    .slice = read_newest, .answered = was_read, .slices_max = LOG_REQUEST_SLICES};

/* A tag of another form is not from this server. A malformed header counts as absent, so the whole
 * answer follows (RFC 9110 section 13.1.2). */
static void read_known(struct topic_read *read, const struct http_fields *fields)
{
    struct http_etag etag;
    struct str value;
    int more = 0;
    for (size_t pos = 0; http_fields_next(fields, STR("if-none-match"), &pos, &value);) {
        if (str_eq(value, STR("*"))) {
            read->known.any = true;
            continue;
        }
        while ((more = http_etag_next(&value, &etag)) > 0) {
            uint64_t *id = &read->known.ids[read->known.count];
            if (read->known.count < KNOWN_MAX && etag.opaque.len == ETAG_LEN &&
                event_id_read(etag.opaque, id))
                read->known.count++;
        }
        if (more < 0)
            break;
    }
    if (more < 0) {
        read->known.any = false;
        read->known.count = 0;
    }
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
    read_known(read, &exchange->head->fields);
    const struct subscriber subscriber = {exchange_access(exchange),
                                          worker_is_full(exchange->worker)};
    struct subscription subscription = {.terms = {buf_str(&read->channel)}, .terms_count = 1};
    struct refusal refusal;
    read->selection = subscription_select(&subscription, &subscriber, &refusal);
    if (!read->selection) {
        exchange_refusal(exchange, &refusal, STR_NONE);
        topic_free(read);
        return;
    }
    read->upto = log_newest(api_of(exchange)->log);
    question_init(&read->question, &exchange->worker->asker, &question_ops);
    exchange_ask(exchange, &read->question);
}
