#include "transport/stream.h"
#include "transport/page_answer.h"

#include <stdlib.h>

enum { RETRY_MS = 1000, RETRY_JITTER_MS = 2000, RETRY_BUSY_MS = 3000 };

struct stream {
    struct pull pull;
    struct sub sub;
    uint16_t encoding;
    uint8_t beat_s;
};

static struct stream *of_pull(struct pull *pull)
{
    return container_of(pull, struct stream, pull);
}

static struct worker *worker_of(const struct stream *stream)
{
    return stream->pull.request->worker;
}

static void wake(struct sub *sub)
{
    request_stream_woken(container_of(sub, struct stream, sub)->pull.request, sub);
}

static void keep_rest(struct sub *sub, struct str rest, struct piece *piece)
{
    request_stream_keep_rest(container_of(sub, struct stream, sub)->pull.request, rest, piece);
}

static const struct sub_ops sub_ops = {.wake = wake, .keep_rest = keep_rest};

/* Ends the body properly, so that the client does not take it for a broken connection. */
static void end(struct stream *stream)
{
    struct request_stream *request = stream->pull.request;
    hub_unsubscribe(&request->worker->hub, &stream->sub);
    request_stream_end(request);
}

static void end_busy(struct stream *stream)
{
    struct request_stream *request = stream->pull.request;
    uint64_t cursor = hub_cursor(&request->worker->hub, &stream->sub);
    encode_bye(NULL, stream->encoding, request_stream_add(request), cursor,
               RETRY_BUSY_MS + worker_random(RETRY_JITTER_MS));
    end(stream);
}

static void tell_gap(struct stream *stream, const struct taken *taken)
{
    struct request_stream *request = stream->pull.request;
    struct gap gap = gap_taken(request->worker->config.log, &stream->sub, taken);
    if (encoding_tells_gaps(stream->encoding))
        encode_gap(NULL, stream->encoding, request_stream_add(request), &gap);
    else
        end(stream);
}

static struct str fill(struct pull *pull)
{
    struct stream *stream = of_pull(pull);
    struct request_stream *request = pull->request;
    struct taken taken;
    switch (hub_take(&request->worker->hub, &stream->sub, &taken)) {
    case TAKE_BYTES:
        return taken.bytes;
    case TAKE_GAP:
        tell_gap(stream, &taken);
        return request_stream_unsent(request);
    case TAKE_FAILED:
        end_busy(stream);
        return request_stream_unsent(request);
    case TAKE_NOTHING:
    case TAKE_WAIT:
        break;
    }
    return STR_NONE;
}

static bool sent(struct pull *pull, size_t n, bool blocked)
{
    struct stream *stream = of_pull(pull);
    hub_sent(&worker_of(stream)->hub, &stream->sub, n, blocked);
    return request_stream_has_more(pull->request, &stream->sub);
}

static void beat_later(struct stream *stream)
{
    request_stream_ring_in(stream->pull.request, (int64_t)stream->beat_s * 1000);
}

static void ring(struct pull *pull)
{
    struct stream *stream = of_pull(pull);
    struct request_stream *request = pull->request;
    if (request_stream_close_deserted(request, stream->beat_s))
        return;
    /* A client with bytes to read needs no heartbeat. */
    if (request_stream_is_clear(request) && request_stream_conn(request)->writable) {
        encode_beat(NULL, stream->encoding, request_stream_add(request),
                    hub_cursor(&request->worker->hub, &stream->sub));
        request_stream_dirty(request);
    }
    beat_later(stream);
}

/* How long a client waits before it reconnects after a drain. Streams end throughout the drain, and
 * Firefox gives up an EventSource whose first attempt to reconnect is refused. So the pause lasts
 * until this process has ended, and a second more for the next one to start. */
static uint64_t return_ms(const struct worker *worker)
{
    int64_t left_ns = worker->stop_at_ns - worker->loop.now_ns;
    uint64_t left_ms = left_ns > 0 ? (uint64_t)left_ns / 1000000 : 0;
    return left_ms + RETRY_MS + worker_random(RETRY_JITTER_MS);
}

static void drain(struct pull *pull)
{
    struct stream *stream = of_pull(pull);
    struct request_stream *request = pull->request;
    uint64_t cursor = hub_cursor(&request->worker->hub, &stream->sub);
    encode_bye(NULL, stream->encoding, request_stream_add(request), cursor,
               return_ms(request->worker));
    end(stream);
}

static bool reads(const struct pull *pull, struct str channel)
{
    const struct stream *stream = container_of(pull, struct stream, pull);
    return stream->sub.view && selection_has_channel(hub_selection(&stream->sub), channel);
}

static void free_stream(struct pull *pull)
{
    struct stream *stream = of_pull(pull);
    if (pull->request) {
        struct worker *worker = worker_of(stream);
        live_remove(worker, pull);
        hub_unsubscribe(&worker->hub, &stream->sub);
        stat_add(&worker->stats.subscribers[encoding_format(stream->encoding)], UINT64_MAX);
    }
    slab_give(stream);
}

static const struct pull_ops pull_ops = {
    .fill = fill, .sent = sent, .ring = ring, .drain = drain, .free = free_stream, .reads = reads};

/* ---- beginning ------------------------------------------------------------------------------- */

static void make_head(struct response *response, const struct exchange *exchange,
                      const struct reading *reading)
{
    response_init(response, 200);
    response->goes_on = true;
    response->type = format_of(reading->format)->content_type;
    response_add(response, STR("X-Accel-Buffering"), STR("no"));
    response_add(response, STR("Incremental"), STR("?1"));
    if (format_of(reading->format)->is_sniffed)
        response_add(response, STR("X-Content-Type-Options"), STR("nosniff"));
    reading_add_headers(response, reading, exchange->worker->config.base, reading->start.cursor);
}

static void add_first_records(struct stream *stream, struct buf *out, const struct reading *reading)
{
    encode_first(stream->encoding, out, reading->start.cursor,
                 RETRY_MS + worker_random(RETRY_JITTER_MS));
    if (reading->start.gap) {
        struct gap gap = start_gap(&reading->start);
        encode_gap(NULL, stream->encoding, out, &gap);
    }
}

/* Refuses a stream that would begin with a gap if its format cannot report gaps. */
static bool refuse_gap(struct exchange *exchange, const struct reading *reading, unsigned encoding)
{
    if (encoding_tells_gaps(encoding))
        return false;
    struct gap gap;
    bool has_gap =
        start_has_gap(exchange->worker->config.log, reading->selection, &reading->start, &gap);
    if (has_gap)
        page_answer_gap(exchange, reading, &gap);
    return has_gap;
}

static void begin(struct exchange *exchange, struct reading *reading)
{
    struct worker *worker = exchange->worker;
    struct stream *stream = slabs_take(&worker->slabs, sizeof(*stream));
    unsigned encoding = encoding_of(reading->format, reading->data, exchange->chunked, 0);
    struct response response;
    if (!stream || refuse_gap(exchange, reading, encoding)) {
        if (!stream)
            exchange_problem(exchange, PROBLEM_UNAVAILABLE, STR("no memory: try again"), STR_NONE);
        slab_give(stream);
        reading_free(reading);
        return;
    }
    *stream = (struct stream){.pull = {.ops = &pull_ops},
                              .encoding = (uint16_t)encoding,
                              .beat_s = (uint8_t)reading->beat_s};
    struct refusal refusal;
    if (!reading_subscribe(worker, &stream->sub, &sub_ops, reading->selection, encoding,
                           &reading->start, &refusal)) {
        exchange_problem(exchange, refusal.problem, str_from(refusal.detail), STR_NONE);
        slab_give(stream);
        reading_free(reading);
        return;
    }
    stat_add(&worker->stats.subscribers[reading->format], 1);
    make_head(&response, exchange, reading);
    stream->pull.request = exchange->request;
    struct request_stream *request = exchange_pull(exchange, &response, &stream->pull);
    if (request) {
        add_first_records(stream, request_stream_add(request), reading);
        beat_later(stream);
    }
    reading_free(reading);
}

/* A stream while its start is searched for. */
struct beginning {
    struct exchange *exchange;
    struct reading *reading;
    struct start_search *search;
};

static void found(void *owner, const struct start_found *found)
{
    struct beginning *beginning = owner;
    struct exchange *exchange = beginning->exchange;
    struct reading *reading = beginning->reading;
    free(beginning);
    reading->start = found->start;
    if (!exchange_is_answered(exchange)) {
        reading_free(reading);
    } else if (found->error) {
        exchange_problem(exchange, PROBLEM_UNAVAILABLE, STR("the store cannot be read: try again"),
                         STR_NONE);
        reading_free(reading);
    } else {
        begin(exchange, reading);
    }
}

static void ask(void *owner, struct question *question)
{
    struct beginning *beginning = owner;
    exchange_ask(beginning->exchange, question);
}

void stream_begin(struct exchange *exchange, struct reading *reading)
{
    struct hub *hub = &exchange->worker->hub;
    if (exchange->is_head) {
        /* For HEAD: sends the head of a stream, and ends. */
        reading->start.cursor = log_newest(hub->log);
        struct response response;
        response_init(&response, 200);
        response.bodiless = true;
        response.type = format_of(reading->format)->content_type;
        reading_add_headers(&response, reading, exchange->worker->config.base,
                            reading->start.cursor);
        reading_free(reading);
        exchange_respond(exchange, &response);
        return;
    }
    struct beginning *beginning = mem_try_alloc(sizeof(*beginning));
    if (!beginning) {
        exchange_problem(exchange, PROBLEM_UNAVAILABLE, STR("no memory: try again"), STR_NONE);
        reading_free(reading);
        return;
    }
    *beginning = (struct beginning){.exchange = exchange, .reading = reading};
    start_find(&beginning->search, hub, reading->selection, &reading->from,
               &(struct start_owner){.owner = beginning, .found = found, .ask = ask});
}
