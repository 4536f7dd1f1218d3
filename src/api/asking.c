#include "api/asking.h"

#include "api/answers.h"
#include "net/peer.h"
#include "transport/parked.h"

#include <stdlib.h>

static void refuse(struct exchange *exchange)
{
    api_refuse(exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
}

/* The client of a parked exchange may have gone: then the exchange is freed here. */
static void answered(struct identification *identification)
{
    struct asking *asking = container_of(identification, struct asking, identification);
    struct exchange *exchange = asking->exchange;
    struct identity identity = identification->identity;
    const struct identity **late = asking->late;
    free(asking);
    if (exchange && !exchange->dropped) {
        *late = &identity;
        exchange_unpark(exchange);
        return;
    }
    caller_unref(identity.caller);
    if (!exchange)
        return;
    exchange_drop_parked(exchange);
    exchange_free(exchange);
}

static uint64_t peer_of_asker(const struct identification *identification)
{
    union client_address client;
    const struct exchange *exchange =
        container_of(identification, struct asking, identification)->exchange;
    if (!exchange_conn(exchange))
        return PEER_UNKNOWN;
    request_stream_client(exchange->request, &client);
    return peer_number(&client.any);
}

struct asking *asking_begin(struct exchange *exchange, const struct identity **late)
{
    struct asking *asking = mem_try_alloc(sizeof(*asking));
    if (!asking) {
        refuse(exchange);
        return NULL;
    }
    *asking = (struct asking){
        .exchange = exchange,
        .late = late,
        .identification = {.done = answered,
                           .peer = peer_of_asker,
                           .home = &exchange->worker->loop.mailbox,
                           .now_us = clock_wall_us(exchange->worker->config.clock)}};
    return asking;
}

void asking_wait(struct asking *asking)
{
    struct exchange *exchange = asking->exchange;
    if (exchange_park(exchange))
        return;
    asking->exchange = NULL;
    refuse(exchange);
}
