#include "transport/request_stream.h"

#include "transport/checked.h"

#include <stdlib.h>

/* The peer's last acknowledgement may come a moment after a beat: two and a half beats tell a peer
 * that missed two from one that missed one. */
bool request_stream_close_deserted(struct request_stream *request, unsigned beat_s)
{
    struct conn *conn = request_stream_conn(request);
    if (!conn_is_deserted(conn, beat_s * INT64_C(2500)))
        return false;
    worker_hit(request->worker, LIMIT_GONE);
    request_stream_close(request);
    conn_close(conn); /* which may have other streams, and nobody at its other end either */
    return true;
}

struct str request_stream_name(const struct request_stream *request, char room[CONN_NAME_SIZE])
{
    return conn_name_write(&request->worker->config.names, request_stream_id(request), room);
}

void request_stream_wake(struct request_stream *request)
{
    struct stream_intake *intake = request_stream_take_in(request);
    if (intake && !list_linked(&intake->wait_node))
        list_add_last(&request->worker->resumed, &intake->wait_node);
}

void request_stream_pause(struct request_stream *request)
{
    struct worker *worker = request->worker;
    struct stream_intake *intake = request_stream_take_in(request);
    if (!intake || list_linked(&intake->wait_node))
        return;
    list_add_last(&worker->paused, &intake->wait_node);
    worker_hit(worker, LIMIT_PENDING);
    worker_check_paused(worker);
}

/* ---- unsent bytes ---------------------------------------------------------------------------- */

/* Unsent bytes, rests of events and responses, are memory that slow peers could make us hold
 * without limit. A request stream allocates no more than it has to send, and shares the rest of a
 * large event with all others that lack a part of it (rest.h). All of it counts against rests_max,
 * beyond which the largest are closed. */

enum { FIT_SLACK = 1024 };

/* Moves the unsent bytes to the front and shrinks the buffer once a fifth of it was sent: little is
 * wasted, and each byte is moved a few times at most. */
static void fit(struct stream_out *out)
{
    size_t left = out->bytes.len - out->sent;
    if (out->bytes.cap - left <= left / 4 + FIT_SLACK)
        return;
    buf_drop(&out->bytes, out->sent);
    out->sent = 0;
    buf_fit(&out->bytes);
}

void request_stream_count_out(struct request_stream *request)
{
    struct worker *worker = request->worker;
    struct stream_out *out = request->out;
    if (!out || request_stream_is_closed(request))
        return;
    bool taken = request_stream_conn(request)->writable;
    if (!taken)
        fit(out);
    holding_set(&worker->holdings, &out->holding, taken ? ACCOUNT_ANSWERS : ACCOUNT_RESTS,
                out->bytes.cap);
    while (account_held(&worker->account, ACCOUNT_RESTS) > worker->config.limits.rests_max) {
        struct holding *largest = holdings_largest(&worker->holdings, ACCOUNT_RESTS);
        if (!largest)
            return;
        worker_hit(worker, LIMIT_RESTS);
        request_stream_shed(largest->request, largest);
    }
}

/* Closes the request stream: bytes that it had to send are lost for lack of memory. */
static struct stream_out *out_new(struct request_stream *request)
{
    struct stream_out *out = mem_try_alloc(sizeof(*out));
    if (out)
        *out = (struct stream_out){.holding = {.request = request}};
    else
        request_stream_close(request);
    return out;
}

struct buf *request_stream_add(struct request_stream *request)
{
    if (!request->out)
        request->out = out_new(request);
    if (!request->out)
        return &request->worker->no_room;
    if (request_stream_is_clear(request))
        request->out->taken_ns = request->worker->loop.now_ns;
    return &request->out->bytes;
}

/* Everything before a rest is sent already, so the rest goes first. */
static bool share_rest(struct request_stream *request, struct str rest, struct piece *piece)
{
    struct stream_out *out = request->out;
    return piece && out && request_stream_is_clear(request) &&
           rest_keep(&request->worker->holdings, &out->rest, request, piece,
                     piece->bytes.len - rest.len);
}

void request_stream_keep_rest(struct request_stream *request, struct str rest, struct piece *piece)
{
    if (!rest.len)
        return;
    struct buf *own = request_stream_add(request);
    if (!share_rest(request, rest, piece))
        buf_add_str(own, rest);
    request_stream_count_out(request);
}

void request_stream_advance(struct request_stream *request, size_t n)
{
    if (request->out->rest.rest)
        rest_advance(&request->out->rest, n);
    else
        request->out->sent += n;
}

void request_stream_drop_out(struct request_stream *request)
{
    if (!request->out)
        return;
    rest_drop(&request->out->rest);
    holding_set(&request->worker->holdings, &request->out->holding, ACCOUNT_RESTS, 0);
    buf_free(&request->out->bytes);
    free(request->out);
    request->out = NULL;
}

void request_stream_dirty(struct request_stream *request)
{
    request_stream_count_out(request); /* the peer may have sent more while it was not read */
    request->ops->dirty(request);
}

/* ---- received bytes -------------------------------------------------------------------------- */

struct stream_intake *request_stream_take_in(struct request_stream *request)
{
    if (request->intake)
        return request->intake;
    request->intake = request->ops->intake_new(request);
    if (!request->intake)
        request_stream_close(request);
    return request->intake;
}

void request_stream_drop_body(struct request_stream *request)
{
    struct stream_intake *intake = request->intake;
    if (!intake || !intake->body)
        return;
    buf_free(&intake->body->decoded);
    buf_free(&intake->body->plain);
    http_gzip_end(&intake->body->gzip);
    free(intake->body);
    intake->body = NULL;
}

void request_stream_drop_intake(struct request_stream *request)
{
    struct stream_intake *intake = request->intake;
    if (!intake)
        return;
    list_remove(&intake->wait_node);
    checked_end(request->worker, &intake->check);
    request_stream_drop_body(request);
    buf_free(&intake->in);
    holding_set(&request->worker->holdings, &intake->holding, ACCOUNT_INTAKE, 0);
    free(intake);
    request->intake = NULL;
}

size_t request_stream_pull_held(const struct request_stream *request)
{
    const struct pull *pull = request->pull;
    return pull && pull->ops->held ? pull->ops->held(pull) : 0;
}

void request_stream_count_intake(struct request_stream *request)
{
    size_t bytes = request_stream_pull_held(request);
    if (request_stream_is_closed(request) || (bytes && !request_stream_take_in(request)) ||
        !request->intake)
        return;
    struct stream_intake *intake = request->intake;
    bytes += intake->in.cap + (intake->body ? request_body_held(intake->body) : 0);
    holding_set(&request->worker->holdings, &intake->holding, ACCOUNT_INTAKE, bytes);
}

int64_t request_stream_begun_ns(const struct request_stream *request)
{
    const struct stream_intake *intake = request->intake;
    int64_t put_off_ns = intake->later_ns ? request->worker->loop.now_ns - intake->later_ns : 0;
    return intake->begun_ns + put_off_ns;
}
