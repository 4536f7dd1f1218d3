/* The phases of an HTTP/1.1 connection: the thing that it waits for, and until when. The timer of
 * its request stream rings in the meaning of its phase; only http1.c hears it. */
#include "transport/http1_state.h"

#include "transport/pipeline.h"

enum { LINGER_MS = 2000 };

static int64_t phase_ms(const struct session *session)
{
    const struct worker_limits *limits = &session->request.worker->config.limits;
    switch ((enum session_phase)session->phase) {
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

static int64_t ms_since(const struct session *session, int64_t ns)
{
    return (session->request.worker->loop.now_ns - ns) / 1000000;
}

/* How long ago that began which the phase gives time for. */
static int64_t phase_age_ms(const struct session *session)
{
    switch ((enum session_phase)session->phase) {
    case PHASE_HEAD:
    case PHASE_BODY:
        return ms_since(session, request_stream_begun_ns(&session->request));
    case PHASE_WAIT:
        return ms_since(session, session_inflight(session)
                                     ? pipeline_first(session)->exchange.since_ns
                                     : session_intake(session)->held_ns);
    case PHASE_SEND:
        return ms_since(session, session->request.out->taken_ns);
    case PHASE_IDLE:
    case PHASE_POLL:
    case PHASE_PULL:
    case PHASE_LINGER:
        break;
    }
    return 0;
}

bool session_is_late(const struct session *session)
{
    return phase_age_ms(session) >= phase_ms(session);
}

void session_time_phase(struct session *session)
{
    int64_t ms = phase_ms(session);
    if (ms < 0)
        return;
    ms -= phase_age_ms(session);
    timer_set(&session->request.worker->loop, &session->request.timer, ms > 0 ? ms : 0);
}

/* A byte now and then, or answers in between, do not put a deadline off: time counts from where
 * the part of the request, or the wait, began. */
void session_enter(struct session *session, enum session_phase phase)
{
    if (session->phase == phase && list_linked(&session->request.timer.node))
        return;
    session->phase = (uint8_t)phase;
    session_time_phase(session);
}

void session_time_stall(struct session *session)
{
    struct worker *worker = session->request.worker;
    timer_set(&worker->loop, &session->request.timer, worker->config.limits.stall_ms);
}

void session_close_soon(struct session *session)
{
    session->closing = true;
    conn_dirty(&session->conn);
    /* A peer that does not read may not keep us from closing. */
    session_time_stall(session);
}

void session_settle(struct session *session)
{
    if (session->closing || session->conn.dead || session_is_taken(session))
        return;
    if (!session_inflight(session) && !request_stream_is_clear(&session->request))
        session_enter(session, PHASE_SEND);
    else if (session_inflight(session) || session->held)
        session_enter(session, PHASE_WAIT);
    else if (session->part)
        session_enter(session, session->part == PART_BODY ? PHASE_BODY : PHASE_HEAD);
    else
        session_enter(session, PHASE_IDLE);
}

/* Makes the newest exchange the last of the connection, which its response says. */
static void end_after_exchanges(struct session *session)
{
    pipeline_last(session)->keep_alive = false;
    session->finished = true;
}

void session_drain(struct session *session, uint32_t after_ms)
{
    if (session->closing || session->draining)
        return;
    if (session_inflight(session))
        end_after_exchanges(session);
    if (session_is_taken(session)) {
        session->draining = true;
        timer_set(&session->request.worker->loop, &session->request.timer, after_ms);
        return;
    }
    if (session_inflight(session) || session->held || session->part)
        return; /* the next answer will be the last */
    if (request_stream_is_clear(&session->request))
        conn_close(&session->conn);
    else
        session_close_soon(session);
}

/* ---- pulls and polls ------------------------------------------------------------------------- */

/* Hands the connection, and with it the timer, to a pull or a poll. While the server stops, the
 * timer rings at once, so that the pull or poll ends politely. */
static void take(struct session *session, enum session_phase phase)
{
    session->phase = (uint8_t)phase;
    if (session->request.intake)
        session->request.intake->begun_ns = 0;
    timer_stop(&session->request.timer);
    if (session->request.worker->draining)
        session_drain(session, 0);
}

void session_begin_pull(struct session *session, struct pull *pull)
{
    session->request.pull = pull;
    pull->request = &session->request;
    take(session, PHASE_PULL);
}

void session_begin_wait(struct session *session)
{
    take(session, PHASE_POLL);
}

void session_end_wait(struct session *session)
{
    session->draining = false;
    timer_stop(&session->request.timer);
    session_enter(session, PHASE_WAIT);
}

void session_drop_intake(struct session *session)
{
    const struct stream_intake *intake = session->request.intake;
    if (!intake || session_inflight(session) || session->held || session->part || intake->in.len ||
        intake->body || intake->check || list_linked(&intake->wait_node) ||
        request_stream_pull_held(&session->request))
        return;
    request_stream_drop_intake(&session->request);
}
