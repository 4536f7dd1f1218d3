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

static bool may_all(const struct access *access, const struct str *terms, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (access_decide(access, ACTION_WEBHOOKS, terms[i]) ||
            access_decide(access, ACTION_READ, terms[i]))
            return false;
    return true;
}

static bool may_have(const struct endpoint *endpoint, const struct rules *rules,
                     const struct caller *maker)
{
    const struct selection *selection = endpoint->made.selection;
    const struct access access = {
        .rules = rules, .caller = maker, .now_us = clock_wall_us(endpoint->courier->config.clock)};
    return may_all(&access, selection->names, selection->names_count) &&
           may_all(&access, selection->patterns, selection->patterns_count);
}

/* Whether the maker is known to have had the right to its endpoint, as everybody needs who makes
 * one or takes it over. What a credential granted is not known of endpoints that older versions
 * have saved: then the rules before must have given it. The rights of a key are what it grants now.
 */
static bool is_known_to_have_had(const struct endpoint *endpoint, const struct rules *before,
                                 const struct caller *now)
{
    const struct caller *maker = endpoint->row.maker;
    return !maker || now || caller_grants_known(maker) || may_have(endpoint, before, maker);
}

/* An end of the credential itself is another reason, see revoked_why(). */
static bool loses(const struct endpoint *endpoint, const struct rules *before,
                  const struct rules *after)
{
    const struct courier_config *config = &endpoint->courier->config;
    const struct caller *maker = endpoint->row.maker;
    if (row_is_inside(&endpoint->row))
        return false; /* the lease ends before long, and nobody renews it without the right */
    if (revoked_has_expired(endpoint))
        return false;
    struct caller *now = config->renew && maker ? config->renew(config->access, maker) : NULL;
    bool lost = is_known_to_have_had(endpoint, before, now) &&
                !may_have(endpoint, after, now ? now : maker);
    caller_unref(now);
    return lost;
}

void revoked_by_change(struct courier *courier, const struct rules *before,
                       const struct rules *after)
{
    struct endpoint *endpoint = directory_next(courier, &courier->endpoints);
    for (; endpoint; endpoint = directory_next(courier, &endpoint->links.node))
        if (endpoint->row.state != ENDPOINT_DISABLED && loses(endpoint, before, after))
            health_disable(endpoint, "revoked");
}

void revoked_by_restart(struct courier *courier)
{
    const struct rules *rules = courier->config.rules;
    if (rules)
        revoked_by_change(courier, rules, rules);
    revoked_disable(courier);
}

bool revoked_has_lost(const struct endpoint *endpoint)
{
    const struct rules *rules = endpoint->courier->config.rules;
    return rules && loses(endpoint, rules, rules);
}

bool revoked_is_due(const struct endpoint *endpoint)
{
    return revoked_why(endpoint) || revoked_has_lost(endpoint);
}

void revoked_look_at(struct endpoint *endpoint)
{
    const char *why = revoked_why(endpoint);
    if (!why && revoked_has_lost(endpoint))
        why = "revoked";
    if (why && endpoint->row.state != ENDPOINT_DISABLED && !endpoint->courier->stopping)
        health_disable(endpoint, why);
}

void revoked_look(struct change_listener *listener)
{
    revoked_disable(container_of(listener, struct courier, revoked));
}
