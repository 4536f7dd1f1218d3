#include "webhooks/endpoint/standing.h"

enum {
    QUICK_MS = 1000,         /* an endpoint that takes longer is slow */
    QUICK_PATIENCE_MS = 100, /* the least, for an endpoint that is expected to answer at once */
    PATIENCE_MORE = 4,       /* factor on the time of the last answer, or on the last patience */
};

static void set_standing(struct endpoint *endpoint, enum pool_class standing, int64_t patience_ms)
{
    int64_t least_ms =
        standing == POOL_QUICK ? QUICK_PATIENCE_MS : endpoint->courier->config.patience_ms;
    endpoint->flow.patience_ms = patience_ms > least_ms ? patience_ms : least_ms;
    if (endpoint->flow.standing == standing)
        return;
    endpoint->flow.standing = standing;
    pool_forget(&endpoint->courier->pool,
                &endpoint->flow.waiter); /* it asks again in its new class */
    endpoint_ready(endpoint);
}

void endpoint_begin_standing(struct endpoint *endpoint)
{
    set_standing(endpoint, endpoint->row.failures ? POOL_FAILING : POOL_NEW, 0);
}

void endpoint_judge(struct endpoint *endpoint, const struct call *call)
{
    int64_t took_ms = (call->ended_ns - call->started_ns) / 1000000;
    if (call_is_accepted(call))
        set_standing(endpoint, took_ms <= QUICK_MS ? POOL_QUICK : POOL_SLOW,
                     took_ms * PATIENCE_MORE);
    else if (!call->status || endpoint->row.failures >= FAILING_AFTER ||
             endpoint_circuit_open(endpoint))
        set_standing(endpoint, POOL_FAILING, 0);
    /* An endpoint that refuses some events, but quickly, keeps its class. */
}

void endpoint_gave_way(struct endpoint *endpoint)
{
    int64_t patience_ms = endpoint->flow.patience_ms * PATIENCE_MORE;
    enum pool_class standing = endpoint->flow.standing;
    /* A quick endpoint gets a second chance: as a slow one it may have to wait for long. */
    if (standing != POOL_FAILING && (standing != POOL_QUICK || patience_ms > QUICK_MS))
        standing = POOL_SLOW;
    set_standing(endpoint, standing, patience_ms);
}

int64_t endpoint_overdue_ns(const struct endpoint *endpoint)
{
    return courier_now_ns(endpoint->courier) + endpoint->flow.patience_ms * INT64_C(1000000);
}

unsigned endpoint_most(const struct endpoint *endpoint)
{
    unsigned most = endpoint->row.options.concurrency;
    if (endpoint->flow.standing == POOL_NEW || endpoint->flow.standing == POOL_FAILING)
        return 1; /* until it accepts something */
    return endpoint->flow.window < most ? endpoint->flow.window : most;
}
