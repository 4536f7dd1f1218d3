/* The HTTP API: the handler for each path and method, and the check of origin and host. */
#pragma once

#include "access/changes.h"
#include "access/authority.h"
#include "api/sites.h"
#include "webhooks/courier.h"
#include "inbound/source.h"
#include "transport/exchange.h"

/* The parts of the server that handlers use; made once, before the workers start. */
struct api {
    struct log *log;
    struct courier *courier;
    struct key_table *keys;
    struct revocations *revocations;
    struct changes *changes; /* of both */
    struct worker *workers;
    unsigned workers_count;
    struct clock *clock;
    struct str base;                   /* path under which everything hangs: empty, or "/x" */
    struct sites sites;                /* by which name, and for whose pages */
    const struct authority *authority; /* turns credentials into callers; NULL: there are no rules,
                                        * and no credential is looked at */
    struct str cookie;                 /* the cookie that holds a credential; empty: none does */
    const struct authorizers *authorizers; /* the operator's servers that decide; NULL: none */
    int64_t started_us;
    uint32_t batch_max;    /* events a batch */
    size_t event_soft_max; /* bytes of an event above which publishers are warned; 0: none */
    struct source *const *sources; /* sources whose webhooks become events */
    size_t sources_count;
    atomic_bool draining;
};

/* worker_config.handle, with a struct api as worker_config.app. */
void api_handle(struct exchange *exchange);

/* worker_config.admits. */
enum admission api_admits(void *app, struct str origin);

static inline struct api *api_of(const struct exchange *exchange)
{
    return exchange->worker->config.app;
}

/* worker_config.is_revoked: also whether the key of the caller is gone. */
bool api_is_revoked(void *app, const struct caller *caller, int64_t now_us);

/* The ways in which a request is allowed or refused. */
enum demand {
    DEMANDS_SERVER,  /* the action on the whole server, before the handler is called */
    DEMANDS_DOOR,    /* the action on the channels that the request names: the handler asks */
    DEMANDS_PROOF,   /* a proof of its own, which the handler checks */
    DEMANDS_NOTHING, /* everybody may do it, with whatever credential */
};

/* A demand of some methods of a route. */
struct api_demand {
    unsigned methods; /* 1 << enum http_method; 0: no more follow */
    enum demand demand;
    enum action action; /* with DEMANDS_SERVER and DEMANDS_DOOR */
};

enum { API_DEMANDS_MAX = 3 };

/* A row of the table of routes: the operations of a path. `rest` is the raw path behind the row's
 * own, empty or beginning with '/'. */
struct api_route {
    const char *path;
    bool whole;       /* nothing may follow */
    bool upgrades;    /* to WebSocket */
    bool asks;        /* `handle` reads the query itself; else there are no parameters */
    unsigned methods; /* 1 << enum http_method */
    void (*handle)(struct exchange *exchange, struct str rest);
    struct api_demand demands[API_DEMANDS_MAX]; /* every method of the route is in one of them */
    const char *doc;
};

/* The demand of a method; NULL if the route does not have the method. */
static inline const struct api_demand *api_demand_of(const struct api_route *route, unsigned method)
{
    for (size_t i = 0; i < API_DEMANDS_MAX && route->methods & 1U << method; i++)
        if (route->demands[i].methods & 1U << method)
            return &route->demands[i];
    return NULL;
}

extern const struct api_route api_routes[];
extern const size_t api_routes_count;
