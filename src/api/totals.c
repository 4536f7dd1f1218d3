#include "api/totals.h"

#include "api/metric.h"

#include <stdlib.h>

static void add_worker(struct totals *totals, const struct worker *worker)
{
    const struct worker_stats *stats = &worker->stats;
    totals->requests += COUNTER(stats->requests);
    totals->connections += COUNTER(stats->connections);
    totals->connections_total += COUNTER(stats->connections_total);
    totals->handshakes += COUNTER(stats->handshakes);
    totals->handshakes_resumed += COUNTER(stats->handshakes_resumed);
    totals->handshakes_failed += COUNTER(stats->handshakes_failed);
    totals->tls_shaking += COUNTER(stats->tls_shaking);
    totals->tls_kept += COUNTER(stats->tls_kept);
    totals->tls_until_s = COUNTER(stats->tls_until_s); /* workers have the same certificates */
    totals->deliveries += COUNTER(stats->deliveries);
    totals->publishes += COUNTER(worker->submitter.published);
    totals->bytes_out += COUNTER(stats->bytes_out);
    totals->sends += COUNTER(stats->sends);
    totals->views += COUNTER(stats->views);
    totals->compressed += COUNTER(stats->compressed);
    totals->window_bytes += COUNTER(stats->window_bytes);
    totals->window_own_bytes += COUNTER(stats->window_own_bytes);
    totals->rests += COUNTER(stats->rests_bytes);
    totals->busy_us += COUNTER(stats->busy_us);
    for (unsigned i = 0; i < LIMIT_COUNT; i++)
        totals->limits[i] += worker_hits(worker, (enum limit)i);
    for (unsigned i = 0; i < FORMATS_COUNT; i++)
        totals->subscribers[i] += COUNTER(stats->subscribers[i]);
    for (unsigned i = 0; i < PROBLEM_COUNT; i++)
        totals->problems[i] += COUNTER(stats->problems[i]);
    for (unsigned i = 0; i < BUDGET_COUNT; i++)
        totals->budgets[i] += COUNTER(stats->budgets[i]);
    for (unsigned i = 0; i < ACCOUNT_COUNT; i++)
        totals->held[i] += account_held(&worker->account, (enum account_kind)i);
    hist_merge(totals->latency, &stats->latency_ns);
    hist_merge(totals->turn, &stats->turn_ns);
    hist_merge(totals->mail, &stats->mail_ns);
}

/* All workers share an audit. */
static void add_audit(struct totals *totals, const struct api *api)
{
    const struct audit *audit = api->workers_count ? api->workers[0].config.audit : NULL;
    for (unsigned i = 0; audit && i < AUDIT_KINDS; i++)
        totals->audited[i] = COUNTER(audit->noted[i]);
    totals->left_out = audit ? COUNTER(audit->left_out_all) : 0;
}

bool totals_init(struct totals *totals, const struct api *api)
{
    enum { HISTS = 3 };
    struct hist *hists = mem_try_alloc(HISTS * sizeof(*hists));
    if (!hists)
        return false;
    memset(hists, 0, HISTS * sizeof(*hists));
    *totals = (struct totals){.latency = hists, .turn = hists + 1, .mail = hists + 2};
    for (unsigned i = 0; i < api->workers_count; i++)
        add_worker(totals, &api->workers[i]);
    add_audit(totals, api);
    totals->endpoints = courier_endpoints(api->courier);
    return true;
}

void totals_deinit(const struct totals *totals)
{
    free(totals->latency); /* the first of them */
}

unsigned totals_subscribers(const struct totals *totals, struct counted ret[FORMATS_COUNT + 1])
{
    unsigned labels = 0;
    for (unsigned i = 0; i < FORMATS_COUNT; i++) {
        struct str label = format_of((enum format_id)i)->counted_as;
        unsigned at = 0;
        while (at < labels && !str_eq(ret[at].label, label))
            at++;
        if (at == labels)
            ret[labels++] = (struct counted){label, 0};
        ret[at].count += totals->subscribers[i];
    }
    ret[labels++] = (struct counted){STR("webhook"), totals->endpoints};
    return labels;
}
