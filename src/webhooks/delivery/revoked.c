#include "webhooks/delivery/revoked.h"

#include "webhooks/delivery/health.h"
#include "webhooks/endpoint/directory.h"

bool revoked_has_expired(const struct endpoint *endpoint)
{
    const struct caller *maker = endpoint->row.maker;
    return maker && !caller_is_authenticated(maker, clock_wall_us(endpoint->courier->config.clock));
}

const char *revoked_why(const struct endpoint *endpoint)
{
    const struct courier_config *config = &endpoint->courier->config;
    const struct caller *maker = endpoint->row.maker;
    int64_t now_us = clock_wall_us(config->clock);
    if (!maker)
        return NULL;
    if (revoked_has_expired(endpoint))
        return "expired";
    if (config->is_revoked && config->is_revoked(config->access, maker, now_us))
        return "revoked";
    return NULL;
}

void revoked_disable(struct courier *courier)
{
    struct endpoint *endpoint = directory_next(courier, &courier->endpoints);
    for (; endpoint; endpoint = directory_next(courier, &endpoint->links.node)) {
        const char *why = endpoint->row.state == ENDPOINT_DISABLED ? NULL : revoked_why(endpoint);
        if (why)
            health_disable(endpoint, why);
    }
}

void revoked_look(struct change_listener *listener)
{
    revoked_disable(container_of(listener, struct courier, revoked));
}
