/* A channel's WebSocket: every frame in is published there, every event of it is a frame out. */
#include "transport/attendance.h"
#include "transport/permits.h"
#include "transport/rounds.h"

#include <stdlib.h>

/* The state of a channel's WebSocket until it is subscribed. */
struct channel_start {
    struct reading *reading;
    struct start_search *search; /* NULL: no search, or not yet */
};

struct channel_websocket {
    struct websocket websocket;
    struct sub sub;
    struct channel_start *start; /* NULL once subscribed */
    uint16_t encoding;
    uint32_t since_s; /* when it began; see rounds_now_s() */
};

static struct channel_websocket *of_websocket(struct websocket *websocket)
{
    return container_of(websocket, struct channel_websocket, websocket);
}

static struct channel_websocket *of_pull(struct pull *pull)
{
    return container_of(pull, struct channel_websocket, websocket.pull);
}

static struct worker *worker_of(const struct websocket *websocket)
{
    return websocket->pull.request->worker;
}

static struct str name_of(const struct channel_websocket *channel)
{
    return channel->start ? channel->start->reading->channel
                          : hub_selection(&channel->sub)->names[0];
}

static void wake(struct sub *sub)
{
    request_stream_woken(container_of(sub, struct channel_websocket, sub)->websocket.pull.request,
                         sub);
}

static void keep_rest(struct sub *sub, struct str rest, struct piece *piece)
{
    request_stream_keep_rest(
        container_of(sub, struct channel_websocket, sub)->websocket.pull.request, rest, piece);
}

static const struct sub_ops sub_ops = {.wake = wake, .keep_rest = keep_rest};

static void channel_publish_done(struct publish *publish, struct batch *batch)
{
    struct websocket_publish *own = container_of(publish, struct websocket_publish, publish);
    (void)batch;
    if (websocket_end_publish(own) && publish->verdict)
        websocket_close_problem(
            own->websocket, submit_refusal(&worker_of(own->websocket)->submitter, publish).problem);
    free(own);
}

static void channel_message(struct websocket *websocket, enum ws_opcode opcode, struct str data)
{
    struct proposal proposal = {.channel = name_of(of_websocket(websocket)),
                                .type = TYPE_DEFAULT,
                                .data = data,
                                .except = of_websocket(websocket)->sub.skip,
                                .kind = opcode == WS_BINARY ? EVENT_BINARY : EVENT_TEXT};
    struct refusal refusal;
    enum permit permit = permits_find(websocket, ACTION_PUBLISH, &proposal.channel, 1, &refusal);
    if (permit == PERMIT_REFUSED)
        websocket_close_refusal(websocket, &refusal);
    if (permit != PERMIT_GOES_ON)
        return;
    struct websocket_publish *own = mem_try_alloc(sizeof(*own));
    if (own)
        *own = (struct websocket_publish){.publish = {.done = channel_publish_done}};
    if (websocket_submit(websocket, &proposal, own, &refusal))
        return;
    free(own);
    websocket_close_refusal(websocket, &refusal);
}

static void tell_gap(struct channel_websocket *channel, const struct taken *taken)
{
    struct request_stream *request = channel->websocket.pull.request;
    struct worker *worker = request->worker;
    struct gap gap = gap_taken(worker->config.log, &channel->sub, taken);
    if (encoding_tells_gaps(channel->encoding))
        encode_gap(&worker->deflater, channel->encoding, request_stream_add(request), &gap);
    else
        websocket_close_problem(&channel->websocket, PROBLEM_GAP);
}

static struct str channel_fill(struct pull *pull)
{
    struct channel_websocket *channel = of_pull(pull);
    struct taken taken;
    if (channel->sub.state == SUB_NONE || channel->websocket.close_sent)
        return websocket_fill(&channel->websocket);
    switch (hub_take(&pull->request->worker->hub, &channel->sub, &taken)) {
    case TAKE_BYTES:
        return taken.bytes;
    case TAKE_GAP:
        tell_gap(channel, &taken);
        break;
    case TAKE_FAILED:
        websocket_close_problem(&channel->websocket, PROBLEM_UNAVAILABLE);
        break;
    case TAKE_NOTHING:
    case TAKE_WAIT:
        break;
    }
    return websocket_fill(&channel->websocket);
}

static bool channel_sent(struct pull *pull, size_t n, bool blocked)
{
    struct channel_websocket *channel = of_pull(pull);
    hub_sent(&pull->request->worker->hub, &channel->sub, n, blocked);
    return websocket_sent(&channel->websocket,
                          request_stream_has_more(pull->request, &channel->sub));
}

static void channel_beat(struct websocket *websocket)
{
    struct channel_websocket *channel = of_websocket(websocket);
    struct request_stream *request = websocket->pull.request;
    if (channel->sub.state == SUB_NONE)
        return; /* the start is not known yet, so there is no cursor */
    encode_beat(&request->worker->deflater, channel->encoding, request_stream_add(request),
                hub_cursor(&request->worker->hub, &channel->sub));
}

static void end_start(struct channel_websocket *channel)
{
    struct channel_start *start = channel->start;
    if (!start)
        return;
    start_drop(&start->search);
    reading_free(start->reading);
    free(start);
    channel->start = NULL;
}

static bool channel_reads(const struct pull *pull, struct str name)
{
    const struct channel_websocket *channel =
        container_of(pull, struct channel_websocket, websocket.pull);
    return channel->sub.view && selection_has_channel(hub_selection(&channel->sub), name);
}

static bool channel_review(struct pull *pull, const struct access *access)
{
    const struct channel_websocket *channel = of_pull(pull);
    const struct subscriber subscriber = {.access = *access};
    const struct selection *selection = channel->sub.view ? hub_selection(&channel->sub)
                                        : channel->start  ? channel->start->reading->selection
                                                          : NULL;
    struct refusal refusal;
    if (channel->sub.view) /* the namespace may have presence now */
        attend(worker_of(&channel->websocket), pull, pull->request, selection, access->caller,
               STR_NONE);
    return !selection || subscription_check_selection(selection, &subscriber, &refusal);
}

static void channel_tell(const struct pull *pull, struct subscription_facts *facts)
{
    const struct channel_websocket *channel =
        container_of(pull, struct channel_websocket, websocket.pull);
    facts->format = FORMAT_WEBSOCKET;
    facts->since_s = channel->since_s;
    if (channel->sub.view)
        facts_add(facts, &pull->request->worker->hub, &channel->sub);
    else if (channel->start)
        facts_add_terms(facts, channel->start->reading->selection);
}

static void channel_free(struct pull *pull)
{
    struct channel_websocket *channel = of_pull(pull);
    websocket_deinit(&channel->websocket);
    if (pull->request) {
        struct worker *worker = pull->request->worker;
        desk_leave(&worker->desk, pull);
        hub_unsubscribe(&worker->hub, &channel->sub);
        stat_add(&worker->stats.subscribers[FORMAT_WEBSOCKET], UINT64_MAX);
    }
    end_start(channel);
    slab_give(channel);
}

/* A channel's WebSocket does not acknowledge publishes, so it does not report an unknown fate
 * either. */
static const struct websocket_ops channel_ops = {
    .asks = true, .message = channel_message, .beat = channel_beat};
static const struct pull_ops channel_pull = {
    WEBSOCKET_PULL,           .fill = channel_fill,
    .sent = channel_sent,     .goodbye = websocket_goodbye,
    .free = channel_free,     .reads = channel_reads,
    .review = channel_review, .tell = channel_tell,
};

static void channel_subscribe(struct channel_websocket *channel)
{
    struct request_stream *request = channel->websocket.pull.request;
    struct worker *worker = request->worker;
    const struct reading *reading = channel->start->reading;
    struct refusal refusal;
    if (reading->start.gap) {
        struct gap gap = start_gap(&reading->start);
        encode_gap(&worker->deflater, channel->encoding, request_stream_add(request), &gap);
    }
    if (!reading_subscribe(worker, &channel->sub, &sub_ops, reading->selection, channel->encoding,
                           &reading->start, &refusal)) {
        websocket_close_refusal(&channel->websocket, &refusal);
        return;
    }
    attend(worker, &channel->websocket.pull, request, reading->selection,
           live_caller(worker, &channel->websocket.pull), reading->as);
    end_start(channel);
    request_stream_dirty(request);
}

static void channel_found(void *owner, const struct start_found *found)
{
    struct channel_websocket *channel = owner;
    channel->start->reading->start = found->start;
    if (found->error)
        websocket_close_problem(&channel->websocket, PROBLEM_UNAVAILABLE);
    else
        channel_subscribe(channel);
}

/* Whether there is a gap after the position, and the format has no record for gaps. */
static bool has_untold_gap(struct worker *worker, const struct reading *reading)
{
    unsigned encoding = encoding_of(FORMAT_WEBSOCKET, reading->data, false, 0);
    struct gap gap;
    return !encoding_tells_gaps(encoding) &&
           start_has_gap(worker->config.log, reading->selection, &reading->start, &gap);
}

static struct channel_websocket *channel_websocket_new(struct worker *worker,
                                                       struct reading *reading)
{
    struct channel_start *start = mem_try_alloc(sizeof(*start));
    struct channel_websocket *channel = start ? slabs_take(&worker->slabs, sizeof(*channel)) : NULL;
    if (!channel) {
        free(start);
        return NULL;
    }
    *start = (struct channel_start){.reading = reading};
    *channel = (struct channel_websocket){.websocket = {.pull = {.ops = &channel_pull},
                                                        .ops = &channel_ops,
                                                        .beat_s = (uint8_t)reading->beat_s},
                                          .start = start,
                                          .since_s = rounds_now_s(worker)};
    return channel;
}

void channel_websocket_begin(struct exchange *exchange, struct reading *reading)
{
    struct worker *worker = exchange->worker;
    if (http_header(exchange->head, STR("sec-websocket-protocol")).len) {
        websocket_refuse_protocols(
            exchange, STR("a channel speaks no subprotocol: offer none, or freshet.v1 at /events"));
        reading_free(reading);
        return;
    }
    bool known = start_is_known(&worker->hub, reading->selection, &reading->from, &reading->start);
    if (known && has_untold_gap(worker, reading)) {
        websocket_refuse(exchange, PROBLEM_GAP,
                         STR("events after that position are gone: begin at after=earliest"));
        reading_free(reading);
        return;
    }
    struct channel_websocket *channel = channel_websocket_new(worker, reading);
    if (!channel) {
        exchange_problem(exchange, PROBLEM_UNAVAILABLE, STR("no memory: try again"), STR_NONE);
        reading_free(reading);
        return;
    }
    if (!websocket_open(exchange, &channel->websocket, STR_NONE,
                        known ? &reading->start.cursor : NULL))
        return;
    stat_add(&worker->stats.subscribers[FORMAT_WEBSOCKET], 1);
    if (reading->no_echo) /* what this connection publishes then excludes it */
        channel->sub.skip = request_stream_id(channel->websocket.pull.request);
    channel->encoding = (uint16_t)encoding_of(FORMAT_WEBSOCKET, reading->data, false,
                                              channel->websocket.window_bits);
    if (known)
        channel_subscribe(channel);
    else
        start_search(&channel->start->search, &worker->hub, reading->selection, &reading->from,
                     &(struct start_owner){.owner = channel, .found = channel_found});
}
