/* A stream is a subscriber of the hub whose bytes go on as the body of a response.
 *
 * A stream that is compressed has a state of its own behind it: the checksum of the text it has
 * had, and the pack that it is sending. Its own records (beats, gaps, the goodbye) are parts that
 * are stored as they are: they are short, and need no work then. So the body is a header, packs and
 * stored parts in the order of the text, and an end with the checksum, which clients check. A body
 * that breaks off has no end: clients that come back by their cursor lose nothing. */
#include "transport/stream.h"
#include "transport/attendance.h"
#include "transport/page_answer.h"
#include "transport/rounds.h"

#include <stdlib.h>

enum { RETRY_MS = 1000, RETRY_JITTER_MS = 2000, RETRY_BUSY_MS = 3000 };

struct stream {
    struct pull pull;
    struct sub sub;
    uint16_t encoding; /* of the records: without HTTP's chunks if they are compressed */
    uint8_t beat_s;
    bool gzip : 1;    /* part of a struct gzip_body */
    bool chunked : 1; /* with `gzip`: what is sent is in chunks */
    uint32_t since_s; /* when it began; see rounds_now_s() */
};

/* A stream that is compressed. */
struct gzip_body {
    struct stream stream;
    struct gzip_sum sum;
    struct pack *taken; /* between `fill` and `sent` */
};

static struct stream *of_pull(struct pull *pull)
{
    return container_of(pull, struct stream, pull);
}

static struct gzip_body *body_of(struct stream *stream)
{
    return container_of(stream, struct gzip_body, stream);
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

/* ---- the stream's own records ---------------------------------------------------------------- */

/* Opens the buffer of records, until own_close(). */
static struct buf *own_open(struct stream *stream)
{
    struct buf *text = &worker_of(stream)->deflater.scratch;
    if (!stream->gzip)
        return request_stream_add(stream->pull.request);
    buf_clear(text);
    return text;
}

/* Adds what is no text, such as the header. */
static void add_framed(struct stream *stream, struct buf *out, struct str bytes)
{
    if (stream->chunked)
        http_chunk_add(out, bytes);
    else
        buf_add_str(out, bytes);
}

static void own_close(struct stream *stream)
{
    struct buf *text = &worker_of(stream)->deflater.scratch, part = {0};
    if (!stream->gzip)
        return;
    struct buf *out = request_stream_add(stream->pull.request);
    gzip_sum_text(&body_of(stream)->sum, buf_str(text));
    gzip_add_stored(&part, buf_str(text));
    add_framed(stream, out, buf_str(&part));
    out->failed |= buf_failed(text) || buf_failed(&part);
    buf_free(&part);
}

static void add_gzip_header(struct stream *stream)
{
    struct buf header = {0};
    gzip_add_header(&header);
    struct buf *out = request_stream_add(stream->pull.request);
    add_framed(stream, out, buf_str(&header));
    out->failed |= buf_failed(&header);
    buf_free(&header);
}

static void add_gzip_end(struct stream *stream)
{
    struct buf ending = {0};
    gzip_add_end(&ending, &body_of(stream)->sum);
    struct buf *out = request_stream_add(stream->pull.request);
    add_framed(stream, out, buf_str(&ending));
    out->failed |= buf_failed(&ending);
    buf_free(&ending);
}

/* Ends the body properly, so that the client does not take it for a broken connection. */
static void end(struct stream *stream)
{
    struct request_stream *request = stream->pull.request;
    if (stream->gzip)
        add_gzip_end(stream);
    hub_unsubscribe(&request->worker->hub, &stream->sub);
    request_stream_end(request);
}

/* Sends the goodbye, and ends the stream behind it. */
static void say_goodbye(struct stream *stream, enum ending why, uint64_t retry_ms)
{
    const struct goodbye goodbye = {
        .why = why,
        .cursor = hub_cursor(&worker_of(stream)->hub, &stream->sub),
        .retry_ms = retry_ms,
    };
    encode_bye(NULL, stream->encoding, own_open(stream), &goodbye);
    own_close(stream);
    end(stream);
}

static void end_busy(struct stream *stream)
{
    say_goodbye(stream, ENDING_BUSY, RETRY_BUSY_MS + worker_random(RETRY_JITTER_MS));
}

static void tell_gap(struct stream *stream, const struct taken *taken)
{
    struct request_stream *request = stream->pull.request;
    struct gap gap = gap_taken(request->worker->config.log, &stream->sub, taken);
    if (!encoding_tells_gaps(stream->encoding)) {
        end(stream);
        return;
    }
    encode_gap(NULL, stream->encoding, own_open(stream), &gap);
    own_close(stream);
}

/* ---- events ---------------------------------------------------------------------------------- */

/* The bytes to send for what was taken from the hub: those of its pack, if it is compressed. */
static struct str bytes_of(struct stream *stream, const struct taken *taken)
{
    struct worker *worker = worker_of(stream);
    if (!stream->gzip)
        return taken->bytes;
    struct pack *pack =
        packs_get(&worker->packs, &worker->hub.room, &worker->deflater, taken, stream->chunked);
    body_of(stream)->taken = pack;
    if (pack)
        return buf_str(&pack->piece->bytes);
    hub_sent(&worker->hub, &stream->sub, 0, true);
    request_stream_add(stream->pull.request)->failed = true;
    return STR_NONE;
}

static struct str fill(struct pull *pull)
{
    struct stream *stream = of_pull(pull);
    struct request_stream *request = pull->request;
    struct taken taken;
    switch (hub_take(&request->worker->hub, &stream->sub, &taken)) {
    case TAKE_BYTES:
        return bytes_of(stream, &taken);
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

/* A pack of which a byte was sent counts as sent: its rest goes before all that follows. */
static void sent_pack(struct gzip_body *body, size_t n, bool blocked)
{
    struct stream *stream = &body->stream;
    struct pack *pack = body->taken;
    body->taken = NULL;
    hub_sent(&worker_of(stream)->hub, &stream->sub, n ? pack->part.len : 0, blocked);
    if (n) {
        gzip_sum_part(&body->sum, &pack->part);
        request_stream_keep_rest(stream->pull.request, str_skip(buf_str(&pack->piece->bytes), n),
                                 pack->piece);
    }
    pack_unref(pack);
}

static bool sent(struct pull *pull, size_t n, bool blocked)
{
    struct stream *stream = of_pull(pull);
    if (stream->gzip)
        sent_pack(body_of(stream), n, blocked);
    else
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
        encode_beat(NULL, stream->encoding, own_open(stream),
                    hub_cursor(&request->worker->hub, &stream->sub));
        own_close(stream);
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

static void goodbye(struct pull *pull, enum ending why)
{
    say_goodbye(of_pull(pull), why, return_ms(pull->request->worker));
}

static bool reads(const struct pull *pull, struct str channel)
{
    const struct stream *stream = container_of(pull, struct stream, pull);
    return stream->sub.view && selection_has_channel(hub_selection(&stream->sub), channel);
}

static bool review(struct pull *pull, const struct access *access)
{
    const struct stream *stream = of_pull(pull);
    const struct subscriber subscriber = {.access = *access};
    struct refusal refusal;
    if (stream->sub.view) /* the namespace may have presence now */
        attend(pull->request->worker, pull, pull->request, hub_selection(&stream->sub),
               access->caller, STR_NONE);
    return !stream->sub.view ||
           subscription_check_selection(hub_selection(&stream->sub), &subscriber, &refusal);
}

static void tell(const struct pull *pull, struct subscription_facts *facts)
{
    const struct stream *stream = container_of(pull, struct stream, pull);
    facts->format = encoding_format(stream->encoding);
    facts->since_s = stream->since_s;
    facts_add(facts, &worker_of(stream)->hub, &stream->sub);
}

static void free_stream(struct pull *pull)
{
    struct stream *stream = of_pull(pull);
    if (stream->gzip)
        pack_unref(body_of(stream)->taken);
    if (pull->request) {
        struct worker *worker = worker_of(stream);
        live_remove(worker, pull);
        desk_leave(&worker->desk, pull);
        hub_unsubscribe(&worker->hub, &stream->sub);
        stat_add(&worker->stats.subscribers[encoding_format(stream->encoding)], UINT64_MAX);
        if (stream->gzip)
            stat_add(&worker->stats.compressed, UINT64_MAX);
    }
    slab_give(stream);
}

static const struct pull_ops pull_ops = {.fill = fill,
                                         .sent = sent,
                                         .ring = ring,
                                         .goodbye = goodbye,
                                         .free = free_stream,
                                         .reads = reads,
                                         .review = review,
                                         .tell = tell};

/* ---- beginning ------------------------------------------------------------------------------- */

static void add_coding(struct response *response, const struct reading *reading)
{
    if (reading->gzip)
        response_add(response, STR("Content-Encoding"), STR("gzip"));
    if (reading->may_gzip)
        response_add(response, STR("Vary"), STR("Accept-Encoding"));
}

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
    add_coding(response, reading);
    reading_add_headers(response, reading, exchange->worker->config.base, reading->start.cursor);
}

static void add_first_records(struct stream *stream, const struct reading *reading)
{
    if (stream->gzip)
        add_gzip_header(stream);
    struct buf *out = own_open(stream);
    char name[CONN_NAME_SIZE];
    struct first_record first = {.cursor = reading->start.cursor,
                                 .retry_ms = RETRY_MS + worker_random(RETRY_JITTER_MS),
                                 .connection = request_stream_name(stream->pull.request, name)};
    encode_first(stream->encoding, out, &first);
    if (reading->start.gap) {
        struct gap gap = start_gap(&reading->start);
        encode_gap(NULL, stream->encoding, out, &gap);
    }
    own_close(stream);
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

/* Room for a stream. Only one that is compressed has room for that, at the same address. */
static struct stream *take_room(struct slabs *slabs, bool gzip)
{
    if (!gzip)
        return slabs_take(slabs, sizeof(struct stream));
    struct gzip_body *body = slabs_take(slabs, sizeof(*body));
    if (!body)
        return NULL;
    *body = (struct gzip_body){.taken = NULL};
    return &body->stream;
}

static struct stream *stream_new(struct exchange *exchange, const struct reading *reading)
{
    struct stream *stream = take_room(&exchange->worker->slabs, reading->gzip);
    bool chunked = exchange->chunked && !reading->gzip; /* packs have chunks around them */
    if (stream)
        *stream = (struct stream){
            .pull = {.ops = &pull_ops},
            .sub = {.skip = request_stream_id(exchange->request)},
            .encoding = (uint16_t)encoding_of(reading->format, reading->data, chunked, 0),
            .beat_s = (uint8_t)reading->beat_s,
            .gzip = reading->gzip,
            .chunked = exchange->chunked,
            .since_s = rounds_now_s(exchange->worker)};
    return stream;
}

static void begin(struct exchange *exchange, struct reading *reading)
{
    struct worker *worker = exchange->worker;
    struct stream *stream = stream_new(exchange, reading);
    struct response response;
    if (!stream || refuse_gap(exchange, reading, stream->encoding)) {
        if (!stream)
            exchange_problem(exchange, PROBLEM_UNAVAILABLE, STR("no memory: try again"), STR_NONE);
        slab_give(stream);
        reading_free(reading);
        return;
    }
    struct refusal refusal;
    if (!reading_subscribe(worker, &stream->sub, &sub_ops, reading->selection, stream->encoding,
                           &reading->start, &refusal)) {
        exchange_problem(exchange, refusal.problem, str_from(refusal.detail), STR_NONE);
        slab_give(stream);
        reading_free(reading);
        return;
    }
    stat_add(&worker->stats.subscribers[reading->format], 1);
    stat_add(&worker->stats.compressed, reading->gzip);
    make_head(&response, exchange, reading);
    stream->pull.request = exchange->request;
    struct request_stream *request = exchange_pull(exchange, &response, &stream->pull);
    if (request) {
        attend(worker, &stream->pull, request, reading->selection,
               live_caller(worker, &stream->pull), reading->as);
        add_first_records(stream, reading);
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
        add_coding(&response, reading);
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
