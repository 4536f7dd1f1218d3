/* freshet.v1 over a WebSocket: turns for the parts that have events to send. */
#include "transport/freshet_v1.h"

#include "transport/freshet_v1_messages.h"
#include "transport/freshet_v1_ops.h"
#include "ws/handshake.h"

#include <errno.h>
#include <stdlib.h>

static struct protocol *of_socket(struct socket *socket)
{
    return container_of(socket, struct protocol, socket);
}

static struct protocol *of_pull(struct pull *pull)
{
    return container_of(pull, struct protocol, socket.pull);
}

/* Gives a part its turn; returns whether there is something to send. */
static bool take_from(struct protocol *protocol, struct part *part, struct taken *taken)
{
    struct hub *hub = &protocol_request(protocol)->worker->hub;
    struct gap gap;
    switch (hub_take(hub, &part->sub, taken)) {
    case TAKE_BYTES:
        protocol->taking = part;
        /* The part that sends goes behind the others, so that a long history holds up none of
         * them. */
        list_remove(&part->node);
        list_add_last(&protocol->parts, &part->node);
        return true;
    case TAKE_GAP:
        gap = gap_taken(hub->log, &part->sub, taken);
        gap.ref = protocol_part_ref(part);
        protocol_send_gap(protocol, &gap);
        break;
    case TAKE_FAILED:
        protocol_give_up(protocol);
        break;
    case TAKE_NOTHING:
    case TAKE_WAIT:
        break;
    }
    return false;
}

static struct str fill(struct pull *pull)
{
    struct protocol *protocol = of_pull(pull);
    struct request_stream *request = pull->request;
    struct taken taken;
    if (protocol->socket.close_sent)
        return socket_fill(&protocol->socket);
    list_each (&protocol->parts, node) {
        struct part *part = container_of(node, struct part, node);
        if (part->sub.state != SUB_NONE && take_from(protocol, part, &taken))
            return taken.bytes;
        if (!request_stream_is_clear(request))
            break;
    }
    if (request_stream_is_clear(request) && !protocol->socket.close_sent)
        protocol_merge(protocol);
    return socket_fill(&protocol->socket);
}

static bool sent(struct pull *pull, size_t n, bool blocked)
{
    struct protocol *protocol = of_pull(pull);
    struct request_stream *request = pull->request;
    hub_sent(&request->worker->hub, &protocol->taking->sub, n, blocked);
    (void)request_stream_has_more(request, &protocol->taking->sub);
    protocol->taking = NULL;
    return true; /* other parts may have something */
}

static void beat(struct socket *socket)
{
    struct protocol *protocol = of_socket(socket);
    struct request_stream *request = protocol_request(protocol);
    encode_beat(&request->worker->deflater, protocol_encoding(protocol),
                request_stream_add(request), protocol_cursor(protocol));
}

static void drain(struct pull *pull)
{
    struct protocol *protocol = of_pull(pull);
    struct request_stream *request = pull->request;
    if (!protocol->socket.close_sent)
        encode_bye(&request->worker->deflater, protocol_encoding(protocol),
                   request_stream_add(request), protocol_cursor(protocol),
                   1000 + worker_random(2000));
    socket_drain(pull);
}

static void free_protocol(struct pull *pull)
{
    struct protocol *protocol = of_pull(pull);
    socket_deinit(&protocol->socket);
    if (pull->request) {
        protocol_free_parts(protocol);
        stat_add(&protocol->worker->stats.subscribers[FORMAT_FRESHET_V1], UINT64_MAX);
    }
    free(protocol);
}

static void message(struct socket *socket, enum ws_opcode opcode, struct str data)
{
    protocol_message(of_socket(socket), opcode, data);
}

static void lost(struct socket *socket, struct socket_publish *publish)
{
    protocol_lost(of_socket(socket), publish);
}

static const struct socket_ops socket_ops = {
    .json = true, .message = message, .beat = beat, .lost = lost};
static const struct pull_ops pull_ops = {SOCKET_PULL, .fill = fill, .sent = sent, .drain = drain,
                                         .free = free_protocol};

/* ---- the handshake --------------------------------------------------------------------------- */

/* 1 when some are offered and none of them is ours. */
static int choose(const struct exchange *exchange, struct str *ret_protocol)
{
    struct buf list = {0};
    struct str value;
    *ret_protocol = STR_NONE;
    for (size_t pos = 0;
         http_header_next(exchange->head, STR("sec-websocket-protocol"), &pos, &value);) {
        if (list.len)
            buf_add_lit(&list, ", ");
        buf_add_str(&list, value);
    }
    int result =
        list.len ? ws_choose_protocol(buf_str(&list), &format_freshet_v1.name, 1, ret_protocol) : 0;
    bool none = list.len && !result && !ret_protocol->len;
    buf_free(&list);
    return none ? 1 : result;
}

void protocol_begin(struct exchange *exchange, struct reading *reading)
{
    struct worker *worker = exchange->worker;
    struct str name;
    int choice = choose(exchange, &name);
    if (choice > 0) {
        socket_refuse_protocols(exchange, STR("the subprotocol spoken here is freshet.v1"));
        reading_free(reading);
        return;
    }
    if (choice) {
        socket_refuse(exchange, PROBLEM_BAD_HANDSHAKE,
                      STR("Sec-WebSocket-Protocol is a list of tokens"));
        reading_free(reading);
        return;
    }
    struct protocol *protocol = mem_try_alloc(sizeof(*protocol));
    if (!protocol) {
        socket_refuse(exchange, PROBLEM_UNAVAILABLE, STR("no memory: try again"));
        reading_free(reading);
        return;
    }
    *protocol = (struct protocol){.worker = worker,
                                  .socket = {.pull = {.ops = &pull_ops},
                                             .ops = &socket_ops,
                                             .beat_s = (uint8_t)(reading ? reading->beat_s : 25)}};
    list_init(&protocol->parts);
    list_init(&protocol->groups);
    list_init(&protocol->terms);
    if (!socket_open(exchange, &protocol->socket, name, NULL)) {
        reading_free(reading);
        return;
    }
    stat_add(&worker->stats.subscribers[FORMAT_FRESHET_V1], 1);
    if (reading && reading->selection->names_count + reading->selection->patterns_count)
        protocol_subscribe(protocol, STR_NONE, reading->selection, &reading->from);
    reading_free(reading);
}
