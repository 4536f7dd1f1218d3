#include "transport/entry.h"

/* Each worker has an equal share of those that may ask. */
static bool may_ask(const struct worker *worker)
{
    uint32_t count = worker->config.count ? worker->config.count : 1;
    uint32_t share = worker->config.refusing_max / count;
    return worker->refusing < share + (worker->config.index < worker->config.refusing_max % count);
}

/* Counts the connection among those of all workers, since the kernel distributes connections
 * unevenly. */
static bool may_connect(struct worker *worker)
{
    _Atomic uint32_t *connections = worker->config.connections;
    if (atomic_fetch_add(connections, 1) < worker->config.limits.connections_max)
        return true;
    atomic_fetch_sub(connections, 1);
    return false;
}

/* Some connections over connections_max are heard before they are refused, since an EventSource
 * needs another refusal than other clients. */
enum entry entry_begin(struct worker *worker)
{
    if (may_connect(worker)) {
        stat_add(&worker->stats.connections_total, 1);
        return LET_IN;
    }
    worker_hit(worker, LIMIT_CONNECTIONS);
    if (!may_ask(worker))
        return TURN_AWAY;
    worker->refusing++;
    return LET_ASK;
}

void entry_again(struct worker *worker, bool asked)
{
    if (asked)
        worker->refusing++;
    else
        atomic_fetch_add(worker->config.connections, 1);
}

void entry_end(struct worker *worker, bool asked)
{
    if (asked)
        worker->refusing--;
    else
        atomic_fetch_sub(worker->config.connections, 1);
}
