/* The HTTP API: the handler for each path and method, and the check of origin and host. */
#pragma once

#include "access/changes.h"
#include "access/authority.h"
#include "access/issuers.h"
#include "api/sites.h"
#include "api/describe/descriptions.h"
#include "webhooks/courier.h"
#include "inbound/source.h"
#include "transport/exchange.h"

struct figures;

/* How often the configuration was read anew, and how often that was refused. */
struct api_reloads {
    _Atomic uint64_t done, refused;
};

/* The parts of the server that handlers use, and the settings of the configuration. Another struct
 * takes its place when these change; nothing of it is kept across turns. */
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
    struct issuers *issuers;               /* of tokens; NULL: none */
    struct jwks *jwks;                     /* fetches their keys; NULL: nobody does */
    const uint64_t *vouchers; /* of the issuers and servers that may vouch for callers */
    size_t vouchers_count;
    int64_t started_us;
    uint32_t batch_max;    /* events a batch */
    size_t event_soft_max; /* bytes of an event above which publishers are warned; 0: none */
    struct source *const *sources; /* sources whose webhooks become events */
    size_t sources_count;
    const struct api_reloads *reloads; /* NULL: none is possible */
    struct figures *figures;           /* for FIGURES_CHANNEL; NULL: nobody makes them */
    struct str configuration;          /* in force, as JSON without secrets; empty: none is told */
    struct descriptions *descriptions; /* of this API; NULL: there was no memory */
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

/* worker_config.is_revoked: also whether the key of the caller is gone, or its issuer. */
bool api_is_revoked(void *app, const struct caller *caller, int64_t now_us);

/* worker_config.is_disowned: the callback of `authorize` that has allowed something is not asked
 * any more, and that alone has ended the rights. */
bool api_is_disowned(void *app, const struct caller *caller, int64_t now_us);

/* worker_config.renew: the key of a caller may have other grants in the configuration by now. */
struct caller *api_renew(void *app, const struct caller *caller);

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
