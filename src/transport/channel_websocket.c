/* A channel's socket: every frame in is published there, every event of it is a frame out. */
#include "transport/websocket.h"

#include <stdlib.h>

/* The state of a channel socket until it is subscribed. */
struct channel_start {
    struct reading *reading;
    struct start_search *search; /* NULL: no search, or not yet */
};

struct channel_socket {
    struct socket socket;
    struct sub sub;
    struct channel_start *start; /* NULL once subscribed */
    uint16_t encoding;
};

static struct channel_socket *of_socket(struct socket *socket)
{
    return container_of(socket, struct channel_socket, socket);
}

static struct channel_socket *of_pull(struct pull *pull)
{
    return container_of(pull, struct channel_socket, socket.pull);
}

static struct worker *worker_of(const struct socket *socket)
{
    return socket->pull.request->worker;
}

static struct str name_of(const struct channel_socket *channel)
{
    return channel->start ? channel->start->reading->channel
                          : hub_selection(&channel->sub)->names[0];
}

static void wake(struct sub *sub)
{
    request_stream_woken(container_of(sub, struct channel_socket, sub)->socket.pull.request, sub);
}

static void keep_rest(struct sub *sub, struct str rest, struct piece *piece)
{
    request_stream_keep_rest(container_of(sub, struct channel_socket, sub)->socket.pull.request,
                             rest, piece);
}

static const struct sub_ops sub_ops = {.wake = wake, .keep_rest = keep_rest};

static void channel_publish_done(struct publish *publish, struct batch *batch)
{
    struct socket_publish *own = container_of(publish, struct socket_publish, publish);
    (void)batch;
    if (socket_end_publish(own) && publish->verdict)
        socket_close_problem(own->socket,
                             submit_refusal(&worker_of(own->socket)->submitter, publish).problem);
    free(own);
}

static void channel_message(struct socket *socket, enum ws_opcode opcode, struct str data)
{
    struct proposal proposal = {.channel = name_of(of_socket(socket)),
                                .type = TYPE_DEFAULT,
                                .data = data,
                                .kind = opcode == WS_BINARY ? EVENT_BINARY : EVENT_TEXT};
    struct socket_publish *own = mem_try_alloc(sizeof(*own));
    struct refusal refusal;
    if (own)
        *own = (struct socket_publish){.publish = {.done = channel_publish_done}};
    if (socket_submit(socket, &proposal, own, &refusal))
        return;
    free(own);
    socket_close_problem(socket, refusal.problem);
}

static void tell_gap(struct channel_socket *channel, const struct taken *taken)
{
    struct request_stream *request = channel->socket.pull.request;
    struct worker *worker = request->worker;
    struct gap gap = gap_taken(worker->config.log, &channel->sub, taken);
    if (encoding_tells_gaps(channel->encoding))
        encode_gap(&worker->deflater, channel->encoding, request_stream_add(request), &gap);
    else
        socket_close_problem(&channel->socket, PROBLEM_GAP);
}

static struct str channel_fill(struct pull *pull)
{
    struct channel_socket *channel = of_pull(pull);
    struct taken taken;
    if (channel->sub.state == SUB_NONE || channel->socket.close_sent)
        return socket_fill(&channel->socket);
    switch (hub_take(&pull->request->worker->hub, &channel->sub, &taken)) {
    case TAKE_BYTES:
        return taken.bytes;
    case TAKE_GAP:
        tell_gap(channel, &taken);
        break;
    case TAKE_FAILED:
        socket_close_problem(&channel->socket, PROBLEM_UNAVAILABLE);
        break;
    case TAKE_NOTHING:
    case TAKE_WAIT:
        break;
    }
    return socket_fill(&channel->socket);
}

static bool channel_sent(struct pull *pull, size_t n, bool blocked)
{
    struct channel_socket *channel = of_pull(pull);
    hub_sent(&pull->request->worker->hub, &channel->sub, n, blocked);
    return socket_sent(&channel->socket, request_stream_has_more(pull->request, &channel->sub));
}

static void channel_beat(struct socket *socket)
{
    struct channel_socket *channel = of_socket(socket);
    struct request_stream *request = socket->pull.request;
    if (channel->sub.state == SUB_NONE)
        return; /* the start is not known yet, so there is no cursor */
    encode_beat(&request->worker->deflater, channel->encoding, request_stream_add(request),
                hub_cursor(&request->worker->hub, &channel->sub));
}

static void end_start(struct channel_socket *channel)
{
    struct channel_start *start = channel->start;
    if (!start)
        return;
    start_drop(&start->search);
    reading_free(start->reading);
    free(start);
    channel->start = NULL;
}

static void channel_free(struct pull *pull)
{
    struct channel_socket *channel = of_pull(pull);
    socket_deinit(&channel->socket);
    if (pull->request) {
        struct worker *worker = pull->request->worker;
        hub_unsubscribe(&worker->hub, &channel->sub);
        stat_add(&worker->stats.subscribers[FORMAT_WEBSOCKET], UINT64_MAX);
    }
    end_start(channel);
    slab_give(channel);
}

/* Publishes are not acknowledged here, so an unknown fate is not reported either. */
static const struct socket_ops channel_ops = {.message = channel_message, .beat = channel_beat};
static const struct pull_ops channel_pull = {
    SOCKET_PULL,           .fill = channel_fill, .sent = channel_sent,
    .drain = socket_drain, .free = channel_free,
};

static void channel_subscribe(struct channel_socket *channel)
{
    struct request_stream *request = channel->socket.pull.request;
    struct worker *worker = request->worker;
    const struct reading *reading = channel->start->reading;
    struct refusal refusal;
    if (reading->start.gap) {
        struct gap gap = start_gap(&reading->start);
        encode_gap(&worker->deflater, channel->encoding, request_stream_add(request), &gap);
    }
    channel->sub.skip = reading->no_echo ? request_stream_conn(request)->id : 0;
    if (!reading_subscribe(worker, &channel->sub, &sub_ops, reading->selection, channel->encoding,
                           &reading->start, &refusal)) {
        socket_close_problem(&channel->socket, refusal.problem);
        return;
    }
    end_start(channel);
    request_stream_dirty(request);
}

static void channel_found(void *owner, const struct start_found *found)
{
    struct channel_socket *channel = owner;
    channel->start->reading->start = found->start;
    if (found->error)
        socket_close_problem(&channel->socket, PROBLEM_UNAVAILABLE);
    else
        channel_subscribe(channel);
}

/* Whether there is a gap behind the given position that the format cannot tell. */
static bool has_untold_gap(struct worker *worker, const struct reading *reading)
{
    unsigned encoding = encoding_of(FORMAT_WEBSOCKET, reading->data, false, 0);
    struct gap gap;
    return !encoding_tells_gaps(encoding) &&
           start_has_gap(worker->config.log, reading->selection, &reading->start, &gap);
}

static struct channel_socket *channel_socket_new(struct worker *worker, struct reading *reading)
{
    struct channel_start *start = mem_try_alloc(sizeof(*start));
    struct channel_socket *channel = start ? slabs_take(&worker->slabs, sizeof(*channel)) : NULL;
    if (!channel) {
        free(start);
        return NULL;
    }
    *start = (struct channel_start){.reading = reading};
    *channel = (struct channel_socket){.socket = {.pull = {.ops = &channel_pull},
                                                  .ops = &channel_ops,
                                                  .beat_s = (uint8_t)reading->beat_s},
                                       .start = start};
    return channel;
}

void channel_socket_begin(struct exchange *exchange, struct reading *reading)
{
    struct worker *worker = exchange->worker;
    if (http_header(exchange->head, STR("sec-websocket-protocol")).len) {
        socket_refuse_protocols(
            exchange, STR("a channel speaks no subprotocol: offer none, or freshet.v1 at /events"));
        reading_free(reading);
        return;
    }
    bool known = start_is_known(&worker->hub, reading->selection, &reading->from, &reading->start);
    if (known && has_untold_gap(worker, reading)) {
        socket_refuse(exchange, PROBLEM_GAP,
                      STR("events after that position are gone: begin at after=earliest"));
        reading_free(reading);
        return;
    }
    struct channel_socket *channel = channel_socket_new(worker, reading);
    if (!channel) {
        exchange_problem(exchange, PROBLEM_UNAVAILABLE, STR("no memory: try again"), STR_NONE);
        reading_free(reading);
        return;
    }
    if (!socket_open(exchange, &channel->socket, STR_NONE, known ? &reading->start.cursor : NULL))
        return;
    stat_add(&worker->stats.subscribers[FORMAT_WEBSOCKET], 1);
    channel->encoding =
        (uint16_t)encoding_of(FORMAT_WEBSOCKET, reading->data, false, channel->socket.window_bits);
    if (known)
        channel_subscribe(channel);
    else
        start_search(&channel->start->search, &worker->hub, reading->selection, &reading->from,
                     &(struct start_owner){.owner = channel, .found = channel_found});
}
