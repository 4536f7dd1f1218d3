#include "transport/entry.h"

#include "base/refusal.h"
#include "net/peer.h"
#include "transport/forwarding.h"

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

static bool is_limited(const struct worker *worker)
{
    return worker->config.limits.address_connections_max && worker->config.addresses;
}

/* Counts one more for the address. A Unix socket has none, and is not limited. */
static bool may_have_more(struct worker *worker, uint64_t peer, uint32_t *ret_place)
{
    bool counts = peer != PEER_NONE && is_limited(worker);
    uint32_t max = worker->config.limits.address_connections_max;
    *ret_place = counts ? quota_take(worker->config.addresses, peer, max) : QUOTA_NONE;
    return !counts || *ret_place;
}

/* The kernel is asked for the address only if that is limited. That of a trusted proxy stands for
 * many clients, and is not: see entry_name(). */
static bool may_come_from(struct worker *worker, int fd, uint32_t *ret_place)
{
    bool asks = is_limited(worker) && !forwarding_trusts(worker, fd);
    return may_have_more(worker, asks ? peer_of(fd) : PEER_NONE, ret_place);
}

static enum entry_excess find_excess(struct worker *worker, int fd, uint32_t *ret_place)
{
    *ret_place = QUOTA_NONE;
    if (memory_mark_is_full(worker->config.memory))
        return EXCESS_OF_MEMORY;
    if (!may_come_from(worker, fd, ret_place))
        return EXCESS_OF_ADDRESS;
    if (may_connect(worker))
        return EXCESS_NONE;
    quota_give(worker->config.addresses, *ret_place);
    *ret_place = QUOTA_NONE;
    return EXCESS_OF_ALL;
}

/* Some connections over a limit are heard before they are refused, since an EventSource needs
 * another refusal than other clients. */
struct entry entry_begin(struct worker *worker, int fd)
{
    static const enum limit counters[] = {[EXCESS_OF_ALL] = LIMIT_CONNECTIONS,
                                          [EXCESS_OF_ADDRESS] = LIMIT_ADDRESS,
                                          [EXCESS_OF_MEMORY] = LIMIT_MEMORY};
    struct entry entry = {0};
    entry.excess = find_excess(worker, fd, &entry.place);
    if (!entry.excess) {
        stat_add(&worker->stats.connections_total, 1);
        return entry;
    }
    worker_hit(worker, counters[entry.excess]);
    entry.turned_away = !may_ask(worker);
    worker->refusing += !entry.turned_away;
    return entry;
}

bool entry_name(struct worker *worker, const union client_address *client,
                enum entry_excess *excess, uint32_t *place)
{
    if (*excess || may_have_more(worker, peer_number(&client->any), place))
        return true;
    worker_hit(worker, LIMIT_ADDRESS);
    if (!may_ask(worker))
        return false;
    atomic_fetch_sub(worker->config.connections, 1);
    worker->refusing++;
    *excess = EXCESS_OF_ADDRESS;
    return true;
}

void entry_end(struct worker *worker, enum entry_excess excess, uint32_t place)
{
    if (excess)
        worker->refusing--;
    else
        atomic_fetch_sub(worker->config.connections, 1);
    quota_give(worker->config.addresses, place);
}

enum problem entry_problem(enum entry_excess excess, struct str *ret_detail)
{
    if (excess == EXCESS_OF_ADDRESS) {
        *ret_detail = STR("this address has as many connections as one may have "
                          "(limits.address_connections_max): close one, or raise the limit");
        return PROBLEM_TOO_MANY;
    }
    if (excess == EXCESS_OF_MEMORY) {
        *ret_detail = STR(REFUSAL_FULL);
        return PROBLEM_UNAVAILABLE;
    }
    *ret_detail = STR("connection limit reached (limits.connections_max): try again later, or "
                      "raise the limit");
    return PROBLEM_UNAVAILABLE;
}
