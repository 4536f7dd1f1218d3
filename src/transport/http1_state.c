/* The phases of an HTTP/1.1 connection: what it waits for, and until when. The phase gives the
 * timer of the request stream its meaning; only http1.c handles the timer. */
#include "transport/http1_state.h"

#include "transport/pipeline.h"

enum { LINGER_MS = 2000 };

static int64_t phase_ms(const struct http1 *http1)
{
    const struct worker_limits *limits = &http1->request.worker->config.limits;
    switch ((enum http1_phase)http1->phase) {
    case PHASE_IDLE:
        return limits->idle_ms;
    case PHASE_HEAD:
        return limits->head_ms;
    case PHASE_BODY:
        return limits->body_ms;
    case PHASE_WAIT:
        return limits->publish_ms;
    case PHASE_SEND:
        return limits->stall_ms;
    case PHASE_LINGER:
        return LINGER_MS;
    case PHASE_POLL:
    case PHASE_PULL:
        break;
    }
    return -1;
}

static int64_t ms_since(const struct http1 *http1, int64_t ns)
{
    return (http1->request.worker->loop.now_ns - ns) / 1000000;
}

/* How long ago the current phase's time limit began. */
static int64_t phase_age_ms(const struct http1 *http1)
{
    switch ((enum http1_phase)http1->phase) {
    case PHASE_HEAD:
    case PHASE_BODY:
        return ms_since(http1, request_stream_begun_ns(&http1->request));
    case PHASE_WAIT:
        return ms_since(http1, http1_inflight(http1) ? pipeline_first(http1)->exchange.since_ns
                                                     : http1_intake(http1)->held_ns);
    case PHASE_SEND:
        return ms_since(http1, http1->request.out->taken_ns);
    case PHASE_IDLE:
    case PHASE_POLL:
    case PHASE_PULL:
    case PHASE_LINGER:
        break;
    }
    return 0;
}

bool http1_is_late(const struct http1 *http1)
{
    return phase_age_ms(http1) >= phase_ms(http1);
}

void http1_time_phase(struct http1 *http1)
{
    int64_t ms = phase_ms(http1);
    if (ms < 0)
        return;
    ms -= phase_age_ms(http1);
    timer_set(&http1->request.worker->loop, &http1->request.timer, ms > 0 ? ms : 0);
}

/* Single bytes, or answers in between, do not extend a deadline: time counts from the beginning of
 * the request's part, or of the wait. */
void http1_enter(struct http1 *http1, enum http1_phase phase)
{
    if (http1->phase == phase && list_linked(&http1->request.timer.node))
        return;
    http1->phase = (uint8_t)phase;
    http1_time_phase(http1);
}

void http1_time_stall(struct http1 *http1)
{
    struct worker *worker = http1->request.worker;
    timer_set(&worker->loop, &http1->request.timer, worker->config.limits.stall_ms);
}

void http1_close_soon(struct http1 *http1)
{
    http1->closing = true;
    conn_dirty(&http1->conn);
    /* A peer that does not read must not delay the close. */
    http1_time_stall(http1);
}

void http1_settle(struct http1 *http1)
{
    if (http1->closing || http1->conn.dead || http1_is_taken(http1))
        return;
    if (!http1_inflight(http1) && !request_stream_is_clear(&http1->request))
        http1_enter(http1, PHASE_SEND);
    else if (http1_inflight(http1) || http1->held)
        http1_enter(http1, PHASE_WAIT);
    else if (http1->part)
        http1_enter(http1, http1->part == PART_BODY ? PHASE_BODY : PHASE_HEAD);
    else
        http1_enter(http1, PHASE_IDLE);
}

/* Marks the newest exchange as the connection's last, so that its response says so. */
static void end_after_exchanges(struct http1 *http1)
{
    pipeline_last(http1)->keep_alive = false;
    http1->finished = true;
}

/* Whether bytes have come that were not looked at yet. */
static bool has_unread(const struct http1 *http1)
{
    const struct stream_intake *intake = http1->request.intake;
    return (intake && intake->in.len) || conn_has_unread(&http1->conn);
}

void http1_close_idle(struct http1 *http1)
{
    conn_shut(&http1->conn);
    conn_close(&http1->conn);
}

void http1_drain(struct http1 *http1, uint32_t after_ms)
{
    if (http1->closing || http1->draining)
        return;
    if (http1_inflight(http1))
        end_after_exchanges(http1);
    if (http1_is_taken(http1)) {
        http1->draining = true;
        timer_set(&http1->request.worker->loop, &http1->request.timer, after_ms);
        return;
    }
    if (http1_inflight(http1) || http1->held || http1->part || has_unread(http1))
        return; /* the next answer will be the last */
    if (request_stream_is_clear(&http1->request) && conn_is_clear(&http1->conn))
        http1_close_idle(http1);
    else
        http1_close_soon(http1);
}

/* ---- pulls and polls ------------------------------------------------------------------------- */

/* Hands the connection, and with it the timer, to a pull or a poll. While the server stops, the
 * timer rings at once, so that the pull or poll ends politely. */
static void take(struct http1 *http1, enum http1_phase phase)
{
    http1->phase = (uint8_t)phase;
    if (http1->request.intake)
        http1->request.intake->begun_ns = 0;
    timer_stop(&http1->request.timer);
    if (http1->request.worker->draining)
        http1_drain(http1, 0);
}

void http1_begin_pull(struct http1 *http1, struct pull *pull)
{
    http1->request.pull = pull;
    pull->request = &http1->request;
    take(http1, PHASE_PULL);
}

void http1_begin_wait(struct http1 *http1)
{
    take(http1, PHASE_POLL);
}

void http1_end_wait(struct http1 *http1)
{
    http1->draining = false;
    timer_stop(&http1->request.timer);
    http1_enter(http1, PHASE_WAIT);
}

void http1_drop_intake(struct http1 *http1)
{
    const struct stream_intake *intake = http1->request.intake;
    if (!intake || http1_inflight(http1) || http1->held || http1->part || intake->in.len ||
        intake->body || intake->check || list_linked(&intake->wait_node) ||
        request_stream_pull_held(&http1->request))
        return;
    request_stream_drop_intake(&http1->request);
}
