/* Each response is written for its exchange, and sent in the order of the requests. The response of
 * the first exchange goes straight into the connection's buffer; a later one waits in its
 * exchange. */
#include "transport/pipeline.h"

#include "transport/http1_writer.h"

#include <stdlib.h>

/* The usual upper bounds of a page's head and a publish's head, and the most that is reserved for
 * responses that are yet to be made, all in bytes. */
enum { HEAD_ROOM = 1536, SMALL_HEAD_ROOM = 256, ROOM_MAX = 16 << 10 };

/* Publishes that were answered leave their memory to the next ones. Others do not: a worker with
 * idle subscribers alone keeps nothing. */
static void give_back(struct worker *worker, struct pipelined *asked)
{
    if (asked->publishes && !asked->exchange.origin.len)
        spares_give(&worker->spare_exchanges, asked);
    else
        free(asked);
}

/* Memory for an exchange with an origin of so many bytes. */
static struct pipelined *take_memory(struct worker *worker, size_t origin_len)
{
    return origin_len ? mem_try_alloc(sizeof(struct pipelined) + origin_len)
                      : spares_take(&worker->spare_exchanges, sizeof(struct pipelined));
}

struct pipelined *pipeline_add(struct http1 *http1, struct str origin)
{
    struct http1_intake *intake = http1_take_in(http1);
    size_t len = origin.at && origin.len <= EXCHANGE_ORIGIN_MAX ? origin.len : 0;
    struct pipelined *asked = intake ? take_memory(http1->request.worker, len) : NULL;
    if (!asked)
        return NULL;
    *asked = (struct pipelined){.exchange = {.request = &http1->request,
                                             .ops = http1->request.ops,
                                             .worker = http1->request.worker,
                                             .holding = {.request = &http1->request},
                                             .browser = origin.at != NULL}};
    if (len)
        asked->exchange.origin = (struct str){memcpy(asked + 1, origin.at, len), len};
    list_add_last(&intake->exchanges, &asked->node);
    intake->inflight++;
    return asked;
}

/* An exchange that is freed without a response is still among those of its connection. */
static void leave(struct pipelined *asked)
{
    const struct request_stream *request = asked->exchange.request;
    if (!request || !list_linked(&asked->node))
        return;
    list_remove(&asked->node);
    http1_intake(http1_of(request))->inflight--;
}

void pipeline_free(struct exchange *exchange)
{
    struct pipelined *asked = pipelined_of(exchange);
    leave(asked);
    holding_set(&exchange->worker->holdings, &asked->exchange.holding, ACCOUNT_ANSWERS, 0);
    buf_free(&asked->answer);
    give_back(exchange->worker, asked);
}

struct pipelined *pipeline_replace_first(struct http1 *http1)
{
    struct pipelined *first = pipeline_first(http1);
    struct str origin = first->exchange.origin;
    struct pipelined *stand_in = mem_try_alloc(sizeof(*stand_in) + origin.len);
    if (!stand_in)
        return NULL;
    *stand_in = *first;
    if (origin.len)
        stand_in->exchange.origin.at = memcpy(stand_in + 1, origin.at, origin.len);
    if (first->exchange.question)
        question_drop(first->exchange.question);
    stand_in->exchange.question = NULL;
    stand_in->exchange.parked = NULL;
    caller_ref(stand_in->exchange.caller);
    stand_in->answer = (struct buf){0};
    stand_in->exchange.holding = (struct holding){.request = &http1->request};
    list_insert_before(&first->node, &stand_in->node);
    list_remove(&first->node);
    exchange_drop(&first->exchange);
    return stand_in;
}

void pipeline_drop(struct http1 *http1)
{
    struct http1_intake *intake = http1_intake(http1);
    for (struct list *node; intake && (node = list_take_first(&intake->exchanges));) {
        struct pipelined *asked = container_of(node, struct pipelined, node);
        struct exchange *exchange = &asked->exchange;
        exchange->request = NULL;
        if (exchange->question)
            question_drop(exchange->question);
        if (exchange->waiting)
            exchange->waiting->ops->drop(exchange->waiting);
        else if (asked->answered)
            exchange_free(exchange);
        else
            exchange_drop(exchange); /* freed when it is answered */
    }
}

/* ---- answering ------------------------------------------------------------------------------- */

static void end_exchange(struct http1 *http1, struct pipelined *asked)
{
    list_remove(&asked->node);
    http1_intake(http1)->inflight--;
    if (!asked->keep_alive)
        http1_close_soon(http1);
    exchange_free(&asked->exchange);
}

/* Sends the responses that are ready, in order, then reads further requests. */
static void pump(struct http1 *http1)
{
    struct request_stream *request = &http1->request;
    while (http1_inflight(http1) && !http1->closing) {
        struct pipelined *first = pipeline_first(http1);
        if (!first->answered)
            break;
        buf_add_str(request_stream_add(request), buf_str(&first->answer));
        if (buf_failed(&first->answer))
            request_stream_add(request)->failed = true;
        end_exchange(http1, first);
    }
    if (request_stream_lost(request)) {
        conn_close(&http1->conn);
        return;
    }
    if (http1->finished && !http1_inflight(http1) && !http1->closing)
        http1_close_soon(http1);
    request_stream_dirty(request);
    if (!http1->processing && !http1->closing)
        request_stream_wake(request);
}

/* The first exchange writes into the connection's buffer. After a response that closes the
 * connection no other is sent. */
static struct buf *answer_of(struct pipelined *asked)
{
    struct request_stream *request = asked->exchange.request;
    struct http1 *http1 = request ? http1_of(request) : NULL;
    bool direct = http1 && !http1->closing && pipeline_first(http1) == asked && !asked->answer.len;
    return direct ? request_stream_add(request) : &asked->answer;
}

static void answered(struct pipelined *asked)
{
    struct request_stream *request = asked->exchange.request;
    asked->answered = true;
    if (!request) {
        exchange_free(&asked->exchange);
        return;
    }
    if (asked->answer.cap)
        holding_set(&request->worker->holdings, &asked->exchange.holding, ACCOUNT_ANSWERS,
                    asked->answer.cap);
    pump(http1_of(request));
}

/* Makes the connection's empty buffer large enough for this response and those of the publishes
 * behind it: the log answers them together, and they are much alike. A response that waits in its
 * exchange needs room for itself alone. */
static void make_room(struct buf *out, const struct pipelined *asked,
                      const struct response *response)
{
    if (out == &asked->answer)
        return;
    size_t inflight = http1_inflight(http1_of(asked->exchange.request));
    size_t room = inflight * (SMALL_HEAD_ROOM + response_length(response));
    if (!out->at && room <= ROOM_MAX)
        buf_reserve(out, room);
}

void pipeline_respond(struct exchange *exchange, const struct response *response,
                      const struct page_key *key)
{
    struct pipelined *asked = pipelined_of(exchange);
    struct buf *out = answer_of(asked);
    size_t before = out->len;
    make_room(out, asked, response);
    if (key)
        buf_reserve(out, HEAD_ROOM + response_length(response));
    http1_write(out, asked, response);
    if (key && !buf_failed(out))
        answer_cache_keep(&exchange->worker->answer_cache, key, str_skip(buf_str(out), before));
    answered(asked);
}

bool pipeline_respond_known(struct exchange *exchange, struct page_key *key)
{
    struct pipelined *asked = pipelined_of(exchange);
    key->unix_seconds = clock_wall_us(exchange->worker->config.clock) / 1000000;
    key->is_head = exchange->is_head;
    key->keep_alive = asked->keep_alive;
    key->http10 = asked->http10;
    key->origin = exchange->origin;
    struct str known = answer_cache_find(&exchange->worker->answer_cache, key);
    if (!known.at)
        return false;
    buf_add_str(answer_of(asked), known);
    answered(asked);
    return true;
}

/* ---- pulls ----------------------------------------------------------------------------------- */

/* Keeps the bytes after the request for a pull that reads input; drops them otherwise. */
static void hand_over_intake(struct http1 *http1)
{
    struct stream_intake *intake = http1->request.intake;
    if (intake && intake->in.len && http1->request.pull->ops->input)
        request_stream_wake(&http1->request);
    else if (intake)
        buf_free(&intake->in);
    http1_drop_intake(http1);
}

bool pipeline_open(struct exchange *exchange, const struct response *response, struct pull *pull)
{
    struct pipelined *asked = pipelined_of(exchange);
    struct http1 *http1 = exchange->request ? http1_of(exchange->request) : NULL;
    if (response->goes_on && asked->http10)
        asked->keep_alive = false; /* the body ends where the connection ends */
    http1_write_open(answer_of(asked), asked, response);
    if (http1) {
        list_remove(&asked->node);
        http1_intake(http1)->inflight--;
        http1->chunked = response->goes_on && exchange->chunked;
    }
    exchange_free(exchange);
    if (!http1 || request_stream_lost(&http1->request)) {
        if (http1)
            conn_close(&http1->conn);
        pull->ops->free(pull);
        return false;
    }
    http1_begin_pull(http1, pull);
    if (!http1->processing)
        hand_over_intake(http1);
    conn_dirty(&http1->conn);
    return true;
}
