/* freshet.v1 over a WebSocket: turns for the parts that have events to send. */
#include "transport/freshet_v1.h"

#include "transport/freshet_v1_auth.h"
#include "transport/freshet_v1_messages.h"
#include "transport/freshet_v1_ops.h"
#include "transport/freshet_v1_presence.h"
#include "transport/rounds.h"
#include "ws/handshake.h"

#include <errno.h>
#include <stdlib.h>

static struct freshet_v1 *of_websocket(struct websocket *websocket)
{
    return container_of(websocket, struct freshet_v1, websocket);
}

static struct freshet_v1 *of_pull(struct pull *pull)
{
    return container_of(pull, struct freshet_v1, websocket.pull);
}

/* Gives a part its turn; returns whether there is something to send. */
static bool take_from(struct freshet_v1 *v1, struct part *part, struct taken *taken)
{
    struct hub *hub = &freshet_v1_request(v1)->worker->hub;
    struct gap gap;
    switch (hub_take(hub, &part->sub, taken)) {
    case TAKE_BYTES:
        v1->taking = part;
        /* Moves the part that sends behind the others, so that a long history delays none of them.
         */
        list_remove(&part->node);
        list_add_last(&v1->parts, &part->node);
        return true;
    case TAKE_GAP:
        gap = gap_taken(hub->log, &part->sub, taken);
        gap.ref = freshet_v1_part_ref(part);
        freshet_v1_send_gap(v1, &gap);
        break;
    case TAKE_FAILED:
        freshet_v1_give_up(v1);
        break;
    case TAKE_NOTHING:
    case TAKE_WAIT:
        break;
    }
    return false;
}

static struct str fill(struct pull *pull)
{
    struct freshet_v1 *v1 = of_pull(pull);
    struct request_stream *request = pull->request;
    struct taken taken;
    if (v1->websocket.close_sent)
        return websocket_fill(&v1->websocket);
    list_each (&v1->parts, node) {
        struct part *part = container_of(node, struct part, node);
        if (part->sub.state != SUB_NONE && take_from(v1, part, &taken))
            return taken.bytes;
        if (!request_stream_is_clear(request))
            break;
    }
    if (request_stream_is_clear(request) && !v1->websocket.close_sent)
        freshet_v1_merge(v1);
    return websocket_fill(&v1->websocket);
}

static bool sent(struct pull *pull, size_t n, bool blocked)
{
    struct freshet_v1 *v1 = of_pull(pull);
    struct request_stream *request = pull->request;
    hub_sent(&request->worker->hub, &v1->taking->sub, n, blocked);
    (void)request_stream_has_more(request, &v1->taking->sub);
    v1->taking = NULL;
    return true; /* other parts may have something */
}

static void beat(struct websocket *websocket)
{
    struct freshet_v1 *v1 = of_websocket(websocket);
    struct request_stream *request = freshet_v1_request(v1);
    encode_beat(&request->worker->deflater, freshet_v1_encoding(v1), request_stream_add(request),
                freshet_v1_cursor(v1));
}

static void goodbye(struct pull *pull, enum ending why)
{
    struct freshet_v1 *v1 = of_pull(pull);
    struct request_stream *request = pull->request;
    const struct goodbye goodbye = {
        .why = why, .cursor = freshet_v1_cursor(v1), .retry_ms = 1000 + worker_random(2000)};
    if (!v1->websocket.close_sent)
        encode_bye(&request->worker->deflater, freshet_v1_encoding(v1), request_stream_add(request),
                   &goodbye);
    websocket_goodbye(pull, why);
}

static bool reads(const struct pull *pull, struct str channel)
{
    const struct freshet_v1 *v1 = container_of(pull, struct freshet_v1, websocket.pull);
    list_each (&v1->terms, node) {
        const struct term *term = container_of(node, struct term, node);
        if (pattern_matches((struct str){term->name, term->len}, channel))
            return true;
    }
    return false;
}

static void tell(const struct pull *pull, struct subscription_facts *facts)
{
    const struct freshet_v1 *v1 = container_of(pull, struct freshet_v1, websocket.pull);
    facts->format = FORMAT_FRESHET_V1;
    facts->since_s = v1->since_s;
    list_each (&v1->terms, node) {
        const struct term *term = container_of(node, struct term, node);
        facts_add_term(facts, (struct str){term->name, term->len});
    }
    list_each (&v1->parts, node) {
        const struct part *part = container_of(node, struct part, node);
        if (part->waits || part->search)
            facts->is_behind = true;
        else if (part->sub.view)
            facts_add_position(facts, &v1->worker->hub, &part->sub);
    }
    facts->cursor = freshet_v1_cursor(v1);
}

static void free_freshet_v1(struct pull *pull)
{
    struct freshet_v1 *v1 = of_pull(pull);
    websocket_deinit(&v1->websocket);
    if (pull->request) {
        freshet_v1_forget_auths(v1);
        freshet_v1_forget_presence(v1);
        freshet_v1_free_parts(v1);
        stat_add(&v1->worker->stats.subscribers[FORMAT_FRESHET_V1], UINT64_MAX);
    }
    free(v1);
}

static void message(struct websocket *websocket, enum ws_opcode opcode, struct str data)
{
    freshet_v1_message(of_websocket(websocket), opcode, data);
}

static void lost(struct websocket *websocket, struct websocket_publish *publish)
{
    freshet_v1_lost(of_websocket(websocket), publish);
}

static const struct websocket_ops websocket_ops = {
    .json = true, .asks = true, .message = message, .beat = beat, .lost = lost};
static const struct pull_ops pull_ops = {WEBSOCKET_PULL,
                                         .fill = fill,
                                         .sent = sent,
                                         .goodbye = goodbye,
                                         .free = free_freshet_v1,
                                         .reads = reads,
                                         .review = freshet_v1_review,
                                         .tell = tell};

/* ---- the handshake --------------------------------------------------------------------------- */

static void subscribe_first(struct freshet_v1 *v1, const struct reading *reading)
{
    const struct selection *selection = reading->selection;
    freshet_v1_subscribe(v1, STR_NONE, selection, &reading->from);
    freshet_v1_attend(v1, selection->names, selection->names_count,
                      live_caller(v1->worker, &v1->websocket.pull), reading->as);
}

/* Returns 1 if the client offers subprotocols, but not freshet.v1. */
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

void freshet_v1_begin(struct exchange *exchange, struct reading *reading)
{
    struct worker *worker = exchange->worker;
    struct str name;
    int choice = choose(exchange, &name);
    if (choice > 0) {
        websocket_refuse_protocols(exchange, STR("the subprotocol spoken here is freshet.v1"));
        reading_free(reading);
        return;
    }
    if (choice) {
        websocket_refuse(exchange, PROBLEM_BAD_HANDSHAKE,
                         STR("Sec-WebSocket-Protocol is a list of tokens"));
        reading_free(reading);
        return;
    }
    struct freshet_v1 *v1 = mem_try_alloc(sizeof(*v1));
    if (!v1) {
        websocket_refuse(exchange, PROBLEM_UNAVAILABLE, STR("no memory: try again"));
        reading_free(reading);
        return;
    }
    *v1 = (struct freshet_v1){.worker = worker,
                              .since_s = rounds_now_s(worker),
                              .websocket = {.pull = {.ops = &pull_ops},
                                            .ops = &websocket_ops,
                                            .beat_s = (uint8_t)(reading ? reading->beat_s : 25)}};
    list_init(&v1->parts);
    list_init(&v1->groups);
    list_init(&v1->terms);
    if (!websocket_open(exchange, &v1->websocket, name, NULL)) {
        reading_free(reading);
        return;
    }
    stat_add(&worker->stats.subscribers[FORMAT_FRESHET_V1], 1);
    if (reading && !freshet_v1_set_name(v1, reading->as))
        freshet_v1_give_up(v1);
    if (reading && reading->selection->names_count + reading->selection->patterns_count)
        subscribe_first(v1, reading);
    reading_free(reading);
}
