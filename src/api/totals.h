/* The figures of all workers added up, for one answer of /stats or /metrics. */
#pragma once

#include "api/api.h"

struct totals {
    uint64_t requests, connections, connections_total, deliveries, publishes, bytes_out, sends;
    uint64_t views, window_bytes, window_own_bytes, rests, busy_us;
    uint64_t handshakes, handshakes_resumed, handshakes_failed, tls_shaking, tls_kept;
    uint64_t tls_until_s; /* the end of the certificate that ends first, 0 without TLS */
    uint64_t audited[AUDIT_KINDS], left_out;
    uint64_t limits[LIMIT_COUNT];
    uint64_t subscribers[FORMATS_COUNT];
    uint64_t compressed;
    uint64_t endpoints;
    uint64_t problems[PROBLEM_COUNT];
    uint64_t budgets[BUDGET_COUNT];
    uint64_t held[ACCOUNT_COUNT];
    uint64_t held_limit; /* of all workers */
    struct hist *latency;
    struct hist *turn;
    struct hist *mail;
};

/* Adds the workers up. False without memory: then there is nothing to deinit. */
bool totals_init(struct totals *totals, const struct api *api);
void totals_deinit(const struct totals *totals);

/* Subscribers under one label. */
struct counted {
    struct str label;
    uint64_t count;
};

/* Counts subscribers by the labels of their formats, and webhooks last. Returns the number of
 * labels. */
unsigned totals_subscribers(const struct totals *totals, struct counted ret[FORMATS_COUNT + 1]);
