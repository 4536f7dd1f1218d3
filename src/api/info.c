#include "api/info.h"

#include "api/access_info.h"
#include "api/answers.h"
#include "api/channel.h"
#include "base/heap.h"
#include "base/json_writer.h"
#include "http/target.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- figures --------------------------------------------------------------------------------- */

struct totals {
    uint64_t requests, connections, connections_total, deliveries, publishes, bytes_out, sends;
    uint64_t views, window_bytes, window_own_bytes, rests, busy_us;
    uint64_t handshakes, handshakes_resumed, handshakes_failed, tls_shaking, tls_kept;
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

#define LOAD(x) atomic_load_explicit(&(x), memory_order_relaxed)

static void add_worker(struct totals *totals, const struct worker *worker)
{
    const struct worker_stats *stats = &worker->stats;
    totals->requests += LOAD(stats->requests);
    totals->connections += LOAD(stats->connections);
    totals->connections_total += LOAD(stats->connections_total);
    totals->handshakes += LOAD(stats->handshakes);
    totals->handshakes_resumed += LOAD(stats->handshakes_resumed);
    totals->handshakes_failed += LOAD(stats->handshakes_failed);
    totals->tls_shaking += LOAD(stats->tls_shaking);
    totals->tls_kept += LOAD(stats->tls_kept);
    totals->deliveries += LOAD(stats->deliveries);
    totals->publishes += LOAD(worker->submitter.published);
    totals->bytes_out += LOAD(stats->bytes_out);
    totals->sends += LOAD(stats->sends);
    totals->views += LOAD(stats->views);
    totals->compressed += LOAD(stats->compressed);
    totals->window_bytes += LOAD(stats->window_bytes);
    totals->window_own_bytes += LOAD(stats->window_own_bytes);
    totals->rests += LOAD(stats->rests_bytes);
    totals->busy_us += LOAD(stats->busy_us);
    for (unsigned i = 0; i < LIMIT_COUNT; i++)
        totals->limits[i] += worker_hits(worker, (enum limit)i);
    for (unsigned i = 0; i < FORMATS_COUNT; i++)
        totals->subscribers[i] += LOAD(stats->subscribers[i]);
    for (unsigned i = 0; i < PROBLEM_COUNT; i++)
        totals->problems[i] += LOAD(stats->problems[i]);
    for (unsigned i = 0; i < BUDGET_COUNT; i++)
        totals->budgets[i] += LOAD(stats->budgets[i]);
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
        totals->audited[i] = LOAD(audit->noted[i]);
    totals->left_out = audit ? LOAD(audit->left_out_all) : 0;
}

/* False when there is no memory. */
static bool totals_init(struct totals *totals, const struct api *api)
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

static void totals_free(const struct totals *totals)
{
    free(totals->latency); /* the first of them */
}

static void write_us(struct json_writer *writer, const char *name, uint64_t ns)
{
    json_member_decimal(writer, name, (double)ns / 1000.0, 1);
}

static void write_hist(struct json_writer *writer, const char *name, const struct hist *hist)
{
    json_name(writer, name);
    json_object_begin(writer);
    json_member_number(writer, "count", LOAD(hist->count));
    write_us(writer, "p50", hist_quantile(hist, 0.5));
    write_us(writer, "p90", hist_quantile(hist, 0.9));
    write_us(writer, "p99", hist_quantile(hist, 0.99));
    write_us(writer, "p999", hist_quantile(hist, 0.999));
    write_us(writer, "max", LOAD(hist->max));
    json_name(writer, "buckets");
    json_object_begin(writer);
    for (uint64_t us = 50; us <= 1600000; us *= 2) {
        char bound[24];
        snprintf(bound, sizeof(bound), "%llu", (unsigned long long)us);
        json_member_number(writer, bound, hist_count_le(hist, us * 1000));
    }
    json_object_end(writer);
    json_object_end(writer);
}

/* Subscribers under one label. */
struct counted {
    struct str label;
    uint64_t count;
};

/* Counts subscribers by the labels of their formats, and webhooks last. Returns the number of
 * labels. */
static unsigned count_subscribers(const struct totals *totals,
                                  struct counted ret[FORMATS_COUNT + 1])
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

static void write_subscribers(struct json_writer *writer, const struct totals *totals)
{
    struct counted counted[FORMATS_COUNT + 1];
    unsigned labels = count_subscribers(totals, counted);
    uint64_t all = 0;
    json_name(writer, "subscribers");
    json_object_begin(writer);
    for (unsigned i = 0; i < labels; i++) {
        json_member_number(writer, counted[i].label.at, counted[i].count);
        all += counted[i].count;
    }
    json_member_number(writer, "total", all);
    json_object_end(writer);
}

static void write_budgets(struct json_writer *writer, const struct totals *totals)
{
    json_name(writer, "budgets");
    json_object_begin(writer);
    for (unsigned i = 0; i < BUDGET_COUNT; i++)
        json_member_number(writer, budget_names[i], totals->budgets[i]);
    json_object_end(writer);
}

static void write_held(struct json_writer *writer, const struct totals *totals)
{
    uint64_t total = 0;
    json_name(writer, "held");
    json_object_begin(writer);
    for (unsigned i = 0; i < ACCOUNT_COUNT; i++) {
        json_member_number(writer, account_names[i], totals->held[i]);
        total += totals->held[i];
    }
    json_member_number(writer, "total", total);
    json_member_number(writer, "limit", totals->held_limit);
    json_object_end(writer);
}

static uint64_t reloads_done(const struct api *api)
{
    return api->reloads ? LOAD(api->reloads->done) : 0;
}

static uint64_t reloads_refused(const struct api *api)
{
    return api->reloads ? LOAD(api->reloads->refused) : 0;
}

static void write_reloads(struct json_writer *writer, const struct api *api)
{
    json_name(writer, "reloads");
    json_object_begin(writer);
    json_member_number(writer, "done", reloads_done(api));
    json_member_number(writer, "refused", reloads_refused(api));
    json_object_end(writer);
}

static void write_losses(struct json_writer *writer, const struct store_losses *losses)
{
    json_name(writer, "lost");
    json_object_begin(writer);
    json_member_number(writer, "holes", losses->holes);
    if (losses->holes) {
        json_member_id(writer, "after", losses->after);
        json_member_id(writer, "upto", losses->upto);
    }
    json_member_number(writer, "foreign_files", losses->foreign);
    json_member_number(writer, "damaged", losses->damaged);
    json_object_end(writer);
}

static void write_log(struct json_writer *writer, const struct log_stats *log)
{
    json_name(writer, "log");
    json_object_begin(writer);
    json_member_id(writer, "newest", log->newest);
    json_member_id(writer, "oldest", log->oldest);
    json_member_number(writer, "published", log->events);
    json_member_number(writer, "published_bytes", log->event_bytes);
    json_member_number(writer, "retained", log->retained);
    json_member_number(writer, "retained_bytes", log->retained_bytes);
    json_member_number(writer, "channels", log->channels);
    json_member_number(writer, "keys", log->keys);
    json_member_number(writer, "store_bytes", log->store_bytes);
    json_member_number(writer, "commits", log->commits);
    json_member_number(writer, "failed_commits", log->failures);
    write_losses(writer, &log->losses);
    json_member_number(writer, "given_up_files", log->losses.given_up);
    json_member_bool(writer, "writable", log->writable);
    json_object_end(writer);
}

static void write_webhooks(struct json_writer *writer, const struct courier_stats *stats)
{
    json_name(writer, "webhooks");
    json_object_begin(writer);
    json_member_number(writer, "endpoints", LOAD(stats->endpoints));
    json_member_number(writer, "deliveries", LOAD(stats->deliveries));
    json_member_number(writer, "failures", LOAD(stats->failures));
    json_member_number(writer, "skipped", LOAD(stats->looped));
    json_member_number(writer, "looped", LOAD(stats->looped)); /* the former name */
    json_member_number(writer, "requests_max", LOAD(stats->requests_max));
    json_name(writer, "requests");
    json_object_begin(writer);
    for (unsigned i = 0; i < POOL_CLASSES; i++)
        json_member_number(writer, pool_class_names[i], LOAD(stats->inflight[i]));
    json_object_end(writer);
    json_member_number(writer, "waiting", LOAD(stats->waiting));
    json_member_number(writer, "waits", LOAD(stats->waits));
    json_member_number(writer, "aborted", LOAD(stats->gave_way));
    json_member_number(writer, "gave_way", LOAD(stats->gave_way)); /* the former name */
    json_member_number(writer, "backlog", LOAD(stats->backlog));
    json_name(writer, "held");
    json_object_begin(writer);
    json_member_number(writer, "queues", LOAD(stats->queued));
    json_member_number(writer, "requests", LOAD(stats->bodies));
    json_member_number(writer, "reads", LOAD(stats->found));
    json_object_end(writer);
    json_member_number(writer, "missed", LOAD(stats->missed));
    json_member_number(writer, "turns_cut", LOAD(stats->turns_cut));
    json_object_end(writer);
}

static void write_readers(struct json_writer *writer, const struct log_stats *log)
{
    json_name(writer, "readers");
    json_object_begin(writer);
    json_member_number(writer, "queued", log->readers.queued);
    json_member_number(writer, "running", log->readers.running);
    json_member_number(writer, "slices", log->readers.slices);
    json_member_number(writer, "rows", log->readers.rows);
    json_member_number(writer, "cancelled", log->readers.cancelled);
    json_member_number(writer, "spent", log->readers.spent);
    json_object_end(writer);
}

static void write_tls(struct json_writer *writer, const struct totals *totals)
{
    json_name(writer, "tls");
    json_object_begin(writer);
    json_member_number(writer, "handshakes", totals->handshakes);
    json_member_number(writer, "resumed", totals->handshakes_resumed);
    json_member_number(writer, "failed", totals->handshakes_failed);
    json_member_number(writer, "unfinished", totals->tls_shaking);
    json_member_number(writer, "kept", totals->tls_kept);
    json_object_end(writer);
}

static void write_audit(struct json_writer *writer, const struct totals *totals)
{
    json_name(writer, "audit");
    json_object_begin(writer);
    for (unsigned i = 0; i < AUDIT_KINDS; i++)
        json_member_number(writer, audit_kind_word((enum audit_kind)i), totals->audited[i]);
    json_member_number(writer, "left_out", totals->left_out);
    json_object_end(writer);
}

/* Counters keep their former names beside the current ones, see docs/operations.md. */
static const struct {
    const char *name;
    enum limit limit;
} former_limits[] = {{"rests_closed", LIMIT_RESTS}, {"unclosed_sockets", LIMIT_CLOSE}};
enum { FORMER_LIMITS = sizeof(former_limits) / sizeof(former_limits[0]) };

static void write_limits_hit(struct json_writer *writer, const struct totals *totals)
{
    json_name(writer, "limits");
    json_object_begin(writer);
    for (unsigned i = 0; i < LIMIT_COUNT; i++)
        json_member_number(writer, limit_names[i], totals->limits[i]);
    for (unsigned i = 0; i < FORMER_LIMITS; i++)
        json_member_number(writer, former_limits[i].name, totals->limits[former_limits[i].limit]);
    json_object_end(writer);
    json_name(writer, "problems");
    json_object_begin(writer);
    for (unsigned i = 0; i < PROBLEM_COUNT; i++)
        if (totals->problems[i])
            json_member_number(writer, problem_slug((enum problem)i).at, totals->problems[i]);
    json_object_end(writer);
}

/* The counters of presence: name in /stats and /metrics, kind, and help text. */
#define PRESENCE_COUNTERS(X)                                                                       \
    X(members, "members", "gauge", "Members of all channels")                                      \
    X(anonymous, "anonymous", "gauge", "Subscribers of channels with presence who have no name")   \
    X(channels, "channels", "gauge", "Channels with presence that somebody subscribes to")         \
    X(marks, "marks", "gauge", "Read marks")                                                       \
    X(joins, "joins_total", "counter", "Members that have joined")                                 \
    X(leaves, "leaves_total", "counter", "Members that have left")                                 \
    X(refused, "refused_total", "counter", "Subscribers that are no members because of a limit")   \
    X(marks_refused, "marks_refused_total", "counter", "Read marks over presence_marks_max")       \
    X(address_refused, "address_refused_total", "counter",                                         \
      "Members, marks and channels over presence_address_percent")                                 \
    X(subject_refused, "subject_refused_total", "counter",                                         \
      "Members and marks over presence_subject_percent")                                           \
    X(events_lost, "events_lost_total", "counter", "Events of presence that the log did not take")

/* NULL without presence. */
static const struct presence_stats *presence_of(const struct api *api)
{
    const struct presence *presence = api->workers_count ? api->workers[0].config.presence : NULL;
    return presence ? presence_stats(presence) : NULL;
}

static void write_presence(struct json_writer *writer, const struct presence_stats *stats)
{
    json_name(writer, "presence");
    json_object_begin(writer);
#define PRESENCE_MEMBER(name, metric, kind, help)                                                  \
    json_member_number(writer, #name, stats ? LOAD(stats->name) : 0);
    PRESENCE_COUNTERS(PRESENCE_MEMBER)
#undef PRESENCE_MEMBER
    json_object_end(writer);
}

static void write_presence_bytes(struct json_writer *writer, const struct presence_stats *stats)
{
    uint64_t total = 0;
    json_name(writer, "presence");
    json_object_begin(writer);
    for (unsigned i = 0; i < PRESENCE_MEMORY_KINDS; i++) {
        uint64_t bytes = stats ? LOAD(stats->bytes[i]) : 0;
        json_member_number(writer, presence_memory_names[i], bytes);
        total += bytes;
    }
    json_member_number(writer, "total", total);
    json_object_end(writer);
}

static void write_stats(struct json_writer *writer, const struct api *api,
                        const struct totals *totals)
{
    struct log_stats log;
    log_stats(api->log, &log);
    json_object_begin(writer);
    json_member_string(writer, "version", STR(FRESHET_VERSION));
    json_member_time(writer, "started", api->started_us);
    json_member_signed(writer, "uptime_s", (clock_wall_us(api->clock) - api->started_us) / 1000000);
    json_member_number(writer, "workers", api->workers_count);
    json_member_number(writer, "busy_us", totals->busy_us);
    write_subscribers(writer, totals);
    json_member_number(writer, "connections", totals->connections);
    json_member_number(writer, "connections_total", totals->connections_total);
    json_member_number(writer, "requests", totals->requests);
    json_member_number(writer, "events", log.events);
    json_member_number(writer, "publishes", totals->publishes);
    json_member_number(writer, "deliveries", totals->deliveries);
    json_member_number(writer, "bytes_out", totals->bytes_out);
    json_member_number(writer, "sends", totals->sends);
    json_member_number(writer, "views", totals->views);
    json_member_number(writer, "streams_compressed", totals->compressed);
    write_hist(writer, "latency_us", totals->latency);
    write_hist(writer, "turn_us", totals->turn);
    write_hist(writer, "lock_us", log_lock_hist(api->log));
    write_hist(writer, "mail_us", totals->mail);
    write_hist(writer, "commit_us", log_commit_hist(api->log));
    write_budgets(writer, totals);
    write_log(writer, &log);
    write_readers(writer, &log);
    json_name(writer, "memory");
    json_object_begin(writer);
    json_member_number(writer, "rss", heap_resident());
    json_member_number(writer, "windows", totals->window_bytes);
    json_member_number(writer, "windows_own", totals->window_own_bytes);
    json_member_number(writer, "channels", log.channels_bytes);
    json_member_number(writer, "keys", log.keys_bytes);
    json_member_number(writer, "trims", log.store_memory.trims);
    json_member_number(writer, "index", log.store_memory.index);
    json_member_number(writer, "sqlite", log.store_memory.sqlite);
    json_member_number(writer, "patterns", log.resolved);
    json_member_number(writer, "rests", totals->rests);
    json_member_number(writer, "pending", log_pending_bytes(api->log));
    json_member_number(writer, "backlog", log_backlog_bytes(api->log));
    write_held(writer, totals);
    write_presence_bytes(writer, presence_of(api));
    json_object_end(writer);
    write_webhooks(writer, courier_stats(api->courier));
    write_presence(writer, presence_of(api));
    write_tls(writer, totals);
    write_audit(writer, totals);
    access_info_write(writer, api);
    write_reloads(writer, api);
    write_limits_hit(writer, totals);
    json_object_end(writer);
}

static void answer(struct exchange *exchange, const char *type, struct buf *body)
{
    struct response response;
    if (buf_failed(body)) {
        api_problem(exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
    } else {
        response_init(&response, 200);
        response.type = str_from(type);
        response.body[0] = buf_str(body);
        exchange_respond(exchange, &response);
    }
    buf_free(body);
}

void info_stats(struct exchange *exchange, struct str rest)
{
    struct buf body = {0};
    struct totals totals;
    (void)rest;
    if (!totals_init(&totals, api_of(exchange))) {
        api_problem(exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
        return;
    }
    struct json_writer writer = json_writer(&body);
    /* The other workers may be about to change theirs. */
    totals.held_limit = api_of(exchange)->workers_count * exchange->worker->account.limit;
    write_stats(&writer, api_of(exchange), &totals);
    buf_add_char(&body, '\n');
    totals_free(&totals);
    answer(exchange, "application/json", &body);
}

/* ---- Prometheus ------------------------------------------------------------------------------ */

static void add_metric(struct buf *out, const char *name, const char *kind, const char *help,
                       uint64_t value)
{
    buf_addf(out, "# HELP freshet_%s %s\n# TYPE freshet_%s %s\nfreshet_%s %llu\n", name, help, name,
             kind, name, (unsigned long long)value);
}

static void add_seconds(struct buf *out, const char *name, const char *help, uint64_t us)
{
    buf_addf(out, "# HELP freshet_%s %s\n# TYPE freshet_%s counter\nfreshet_%s %.6f\n", name, help,
             name, name, (double)us / 1e6);
}

static void add_limit_metric(struct buf *out, const struct totals *totals, const char *limit_name,
                             enum limit limit)
{
    char name[48];
    snprintf(name, sizeof(name), "%s_total", limit_name);
    add_metric(out, name, "counter", limit_helps[limit], totals->limits[limit]);
}

static void add_limit_metrics(struct buf *out, const struct totals *totals)
{
    for (unsigned i = 0; i < LIMIT_COUNT; i++)
        add_limit_metric(out, totals, limit_names[i], (enum limit)i);
    for (unsigned i = 0; i < FORMER_LIMITS; i++)
        add_limit_metric(out, totals, former_limits[i].name, former_limits[i].limit);
}

static void add_budget_metrics(struct buf *out, const struct totals *totals)
{
    for (unsigned i = 0; i < BUDGET_COUNT; i++) {
        char name[48];
        snprintf(name, sizeof(name), "budget_%s_total", budget_names[i]);
        add_metric(out, name, "counter", budget_helps[i], totals->budgets[i]);
    }
}

static void add_held_metrics(struct buf *out, const struct totals *totals)
{
    buf_add_lit(out, "# HELP freshet_held_bytes Memory that peers make the workers hold\n"
                     "# TYPE freshet_held_bytes gauge\n");
    for (unsigned i = 0; i < ACCOUNT_COUNT; i++)
        buf_addf(out, "freshet_held_bytes{kind=\"%s\"} %llu\n", account_names[i],
                 (unsigned long long)totals->held[i]);
}

static void add_reader_metrics(struct buf *out, const struct log_stats *log)
{
    add_metric(out, "readers_queued", "gauge", "Reads of the store that wait for their turn",
               log->readers.queued);
    add_metric(out, "readers_running", "gauge", "Reads of the store under way",
               log->readers.running);
    add_metric(out, "readers_slices_total", "counter", "Slices of reads of the store",
               log->readers.slices);
    add_metric(out, "readers_rows_total", "counter", "Rows that reads of the store looked at",
               log->readers.rows);
    add_metric(out, "readers_cancelled_total", "counter", "Reads whose client was gone",
               log->readers.cancelled);
    add_metric(out, "readers_spent_total", "counter", "Reads that were ended by their allowance",
               log->readers.spent);
}

static void add_metric_hist(struct buf *out, const char *name, const char *help,
                            const struct hist *hist)
{
    buf_addf(out, "# HELP freshet_%s %s\n# TYPE freshet_%s histogram\n", name, help, name);
    for (uint64_t us = 50; us <= 1600000; us *= 2)
        buf_addf(out, "freshet_%s_bucket{le=\"%g\"} %llu\n", name, (double)us / 1e6,
                 (unsigned long long)hist_count_le(hist, us * 1000));
    buf_addf(out, "freshet_%s_bucket{le=\"+Inf\"} %llu\nfreshet_%s_sum %g\nfreshet_%s_count %llu\n",
             name, (unsigned long long)LOAD(hist->count), name, (double)LOAD(hist->sum) / 1e9, name,
             (unsigned long long)LOAD(hist->count));
}

static void add_labelled(struct buf *out, const struct totals *totals)
{
    buf_add_lit(out, "# HELP freshet_subscribers Subscribers by mechanism\n"
                     "# TYPE freshet_subscribers gauge\n");
    struct counted counted[FORMATS_COUNT + 1];
    unsigned labels = count_subscribers(totals, counted);
    for (unsigned i = 0; i < labels; i++)
        buf_addf(out, "freshet_subscribers{mechanism=\"%s\"} %llu\n", counted[i].label.at,
                 (unsigned long long)counted[i].count);
    add_metric(out, "streams_compressed", "gauge", "Subscribers whose stream is compressed",
               totals->compressed);
    buf_add_lit(out, "# HELP freshet_problems_total Refused requests by problem\n"
                     "# TYPE freshet_problems_total counter\n");
    for (unsigned i = 0; i < PROBLEM_COUNT; i++)
        buf_addf(out, "freshet_problems_total{problem=\"%s\"} %llu\n",
                 problem_slug((enum problem)i).at, (unsigned long long)totals->problems[i]);
}

static void add_audit_metrics(struct buf *out, const struct totals *totals)
{
    buf_add_lit(out, "# HELP freshet_audit_entries_total Entries of the audit log by type\n"
                     "# TYPE freshet_audit_entries_total counter\n");
    for (unsigned i = 0; i < AUDIT_KINDS; i++)
        buf_addf(out, "freshet_audit_entries_total{type=\"%s\"} %llu\n",
                 audit_kind_word((enum audit_kind)i), (unsigned long long)totals->audited[i]);
    add_metric(out, "audit_left_out_total", "counter", "Refusals that the audit log left out",
               totals->left_out);
}

static void add_tls_metrics(struct buf *out, const struct totals *totals)
{
    add_metric(out, "tls_handshakes_total", "counter", "Full handshakes of TLS",
               totals->handshakes);
    add_metric(out, "tls_handshakes_resumed_total", "counter", "Handshakes of TLS by a ticket",
               totals->handshakes_resumed);
    add_metric(out, "tls_handshakes_failed_total", "counter", "Handshakes of TLS that failed",
               totals->handshakes_failed);
    add_metric(out, "tls_unfinished_bytes", "gauge",
               "Memory, about, of unfinished handshakes of TLS", totals->tls_shaking);
    add_metric(out, "tls_kept_bytes", "gauge", "Records of TLS that sockets do not take",
               totals->tls_kept);
}

static void add_webhook_metrics(struct buf *out, const struct courier_stats *stats)
{
    add_metric(out, "webhook_deliveries_total", "counter", "Events that webhooks accepted",
               LOAD(stats->deliveries));
    add_metric(out, "webhook_failures_total", "counter", "Requests of webhooks that failed",
               LOAD(stats->failures));
    add_metric(out, "webhook_skipped_total", "counter",
               "Events that webhooks did not send because of too many hops", LOAD(stats->looped));
    add_metric(out, "webhook_looped_total", "counter", "The former name of webhook_skipped_total",
               LOAD(stats->looped));
    add_metric(out, "webhook_requests_max", "gauge", "Requests of webhooks at a time, at most",
               LOAD(stats->requests_max));
    buf_add_lit(out, "# HELP freshet_webhook_requests Requests of webhooks under way\n"
                     "# TYPE freshet_webhook_requests gauge\n");
    for (unsigned i = 0; i < POOL_CLASSES; i++)
        buf_addf(out, "freshet_webhook_requests{class=\"%s\"} %llu\n", pool_class_names[i],
                 (unsigned long long)LOAD(stats->inflight[i]));
    add_metric(out, "webhook_waiting", "gauge", "Webhooks that wait for a request of others to end",
               LOAD(stats->waiting));
    add_metric(out, "webhook_waits_total", "counter",
               "How often a webhook had to wait for a request of others", LOAD(stats->waits));
    add_metric(out, "webhook_aborted_total", "counter",
               "Requests of webhooks aborted for others, and repeated", LOAD(stats->gave_way));
    add_metric(out, "webhook_gave_way_total", "counter", "The former name of webhook_aborted_total",
               LOAD(stats->gave_way));
    add_metric(out, "webhook_backlog_bytes", "gauge",
               "Bytes of events that webhooks have not looked at yet", LOAD(stats->backlog));
    buf_addf(out,
             "# HELP freshet_webhook_held_bytes Memory that webhooks hold\n"
             "# TYPE freshet_webhook_held_bytes gauge\n"
             "freshet_webhook_held_bytes{kind=\"queues\"} %llu\n"
             "freshet_webhook_held_bytes{kind=\"requests\"} %llu\n"
             "freshet_webhook_held_bytes{kind=\"reads\"} %llu\n",
             (unsigned long long)LOAD(stats->queued), (unsigned long long)LOAD(stats->bodies),
             (unsigned long long)LOAD(stats->found));
    add_metric(out, "webhook_missed_total", "counter",
               "Overflows of that backlog, after which webhooks read the store",
               LOAD(stats->missed));
    add_metric(out, "webhook_turns_cut_total", "counter",
               "Turns of the webhooks' thread whose time was over before their work",
               LOAD(stats->turns_cut));
}

static void add_presence_metrics(struct buf *out, const struct presence_stats *stats)
{
#define PRESENCE_METRIC(name, metric, kind, help)                                                  \
    add_metric(out, "presence_" metric, kind, help, stats ? LOAD(stats->name) : 0);
    PRESENCE_COUNTERS(PRESENCE_METRIC)
#undef PRESENCE_METRIC
    buf_add_lit(out, "# HELP freshet_presence_bytes Memory of the table of presence\n"
                     "# TYPE freshet_presence_bytes gauge\n");
    for (unsigned i = 0; i < PRESENCE_MEMORY_KINDS; i++)
        buf_addf(out, "freshet_presence_bytes{kind=\"%s\"} %llu\n", presence_memory_names[i],
                 (unsigned long long)(stats ? LOAD(stats->bytes[i]) : 0));
}

static void add_loss_metrics(struct buf *out, const struct store_losses *losses)
{
    add_metric(out, "holes", "gauge", "Ranges of ids in the log whose files are missing",
               losses->holes);
    add_metric(out, "foreign_files", "gauge", "Files in the folder that are not of the log",
               losses->foreign);
    add_metric(out, "damaged_total", "counter",
               "Events, or runs of them, that were found damaged and are not served",
               losses->damaged);
    add_metric(out, "given_up_files", "gauge",
               "Damaged files that upkeep cannot rewrite: deleted events stay in them",
               losses->given_up);
}

void info_metrics(struct exchange *exchange, struct str rest)
{
    struct buf body = {0};
    struct totals totals;
    struct log_stats log;
    struct api *api = api_of(exchange);
    (void)rest;
    if (!totals_init(&totals, api)) {
        api_problem(exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
        return;
    }
    log_stats(api->log, &log);
    add_labelled(&body, &totals);
    add_metric(&body, "connections", "gauge", "Open connections", totals.connections);
    add_seconds(&body, "busy_seconds_total", "Time in which workers had something to do",
                totals.busy_us);
    add_metric(&body, "requests_total", "counter", "HTTP requests", totals.requests);
    add_metric(&body, "events_total", "counter", "Events appended", log.events);
    add_metric(&body, "events_retained", "gauge", "Events in the log", log.retained);
    add_metric(&body, "events_retained_bytes", "gauge", "Their data", log.retained_bytes);
    add_metric(&body, "deliveries_total", "counter", "Events handed to sockets", totals.deliveries);
    add_metric(&body, "sent_bytes_total", "counter", "Bytes handed to sockets", totals.bytes_out);
    add_metric(&body, "channels", "gauge", "Channels known", log.channels);
    add_metric(&body, "keys", "gauge", "Idempotency keys known", log.keys);
    add_metric(&body, "store_bytes", "gauge", "Bytes that the store occupies", log.store_bytes);
    add_metric(&body, "commits_total", "counter", "Commits of the store", log.commits);
    add_metric(&body, "failed_commits_total", "counter", "Commits that failed", log.failures);
    add_metric(&body, "writable", "gauge", "Whether the last commit succeeded", log.writable);
    add_tls_metrics(&body, &totals);
    add_audit_metrics(&body, &totals);
    access_info_add_metrics(&body, api);
    add_metric(&body, "reloads_total", "counter", "Reloads of the configuration",
               reloads_done(api));
    add_metric(&body, "reloads_refused_total", "counter",
               "Reloads of a configuration with a fault, which changed nothing",
               reloads_refused(api));
    add_loss_metrics(&body, &log.losses);
    add_webhook_metrics(&body, courier_stats(api->courier));
    add_presence_metrics(&body, presence_of(api));
    add_reader_metrics(&body, &log);
    add_limit_metrics(&body, &totals);
    add_budget_metrics(&body, &totals);
    add_held_metrics(&body, &totals);
    add_metric(&body, "window_bytes", "gauge", "Recent events that workers keep",
               totals.window_bytes);
    add_metric(&body, "windows_own_bytes", "gauge",
               "Memory of recent events that no two workers share", totals.window_own_bytes);
    add_metric(&body, "channels_bytes", "gauge", "Table of channels", log.channels_bytes);
    add_metric(&body, "keys_bytes", "gauge", "Idempotency keys", log.keys_bytes);
    add_metric(&body, "trims_bytes", "gauge", "Trimmed ids of channels", log.store_memory.trims);
    add_metric(&body, "index_bytes", "gauge", "Index of the log's files that are not sealed",
               log.store_memory.index);
    add_metric(&body, "sqlite_bytes", "gauge", "Memory that SQLite holds", log.store_memory.sqlite);
    add_metric(&body, "patterns_bytes", "gauge", "Channel numbers remembered for patterns",
               log.resolved);
    add_metric(&body, "pending_bytes", "gauge", "Bytes that are not safe yet",
               log_pending_bytes(api->log));
    add_metric(&body, "backlog_bytes", "gauge", "Bytes not applied by the slowest thread",
               log_backlog_bytes(api->log));
    add_metric(&body, "memory_bytes", "gauge", "Resident memory", heap_resident());
    add_metric_hist(&body, "latency_seconds",
                    "From a publish's acceptance to its bytes handed to a socket", totals.latency);
    add_metric_hist(&body, "turn_seconds", "How long a turn of a worker kept all others waiting",
                    totals.turn);
    add_metric_hist(&body, "lock_seconds", "How long the lock of the log was held",
                    log_lock_hist(api->log));
    add_metric_hist(&body, "mail_seconds", "How long the oldest mail of a worker waited",
                    totals.mail);
    add_metric_hist(&body, "commit_seconds", "Duration of a commit", log_commit_hist(api->log));
    totals_free(&totals);
    answer(exchange, "text/plain; version=0.0.4; charset=utf-8", &body);
}

/* ---- health ---------------------------------------------------------------------------------- */

/* `losses` may be NULL. A server that has lost old events is as ready for new ones as any other: it
 * stays in service, and says what it has lost. */
static void answer_status(struct exchange *exchange, const char *status,
                          const struct store_losses *losses)
{
    struct buf body = {0};
    struct json_writer writer = json_writer(&body);
    json_object_begin(&writer);
    json_member_string(&writer, "status", str_from(status));
    if (losses && (losses->holes || losses->foreign || losses->damaged))
        write_losses(&writer, losses);
    json_object_end(&writer);
    buf_add_char(&body, '\n');
    answer(exchange, "application/json", &body);
}

void info_health(struct exchange *exchange, struct str rest)
{
    (void)rest;
    answer_status(exchange, "ok", NULL);
}

void info_ready(struct exchange *exchange, struct str rest)
{
    struct log_stats log;
    struct api *api = api_of(exchange);
    (void)rest;
    log_stats(api->log, &log);
    if (atomic_load(&api->draining))
        api_problem(exchange, PROBLEM_UNAVAILABLE, "the server is stopping");
    else if (!log.writable)
        api_problem(exchange, PROBLEM_UNAVAILABLE, "the last write to the store failed");
    else
        answer_status(exchange, "ready", &log.losses);
}

/* ---- the way in ------------------------------------------------------------------------------ */

/* The access that each method takes: an action, `proof` of the sender, or `nothing`. */
static void write_demands(struct json_writer *writer, const struct api_route *route)
{
    static const char *const methods[HTTP_OTHER] = {[HTTP_GET] = "GET",
                                                    [HTTP_POST] = "POST",
                                                    [HTTP_PUT] = "PUT",
                                                    [HTTP_PATCH] = "PATCH",
                                                    [HTTP_DELETE] = "DELETE"};
    json_name(writer, "access");
    json_object_begin(writer);
    for (unsigned i = 0; i < HTTP_OTHER; i++) {
        const struct api_demand *demand = methods[i] ? api_demand_of(route, i) : NULL;
        if (!demand)
            continue;
        const char *word = demand->demand == DEMANDS_PROOF     ? "proof"
                           : demand->demand == DEMANDS_NOTHING ? "nothing"
                                                               : action_word(demand->action);
        json_member_string(writer, methods[i], str_from(word));
    }
    json_object_end(writer);
}

static void write_link(struct json_writer *writer, struct str base, const struct api_route *route)
{
    struct buf href = {0};
    buf_add_str(&href, base);
    buf_add_str(&href, str_from(route->path));
    json_object_begin(writer);
    json_member_string(writer, "href", buf_str(&href));
    json_member_string(writer, "path", str_from(route->path));
    json_member_string(writer, "title", str_from(route->doc));
    write_demands(writer, route);
    json_object_end(writer);
    writer->out->failed |= buf_failed(&href);
    buf_free(&href);
}

static void add_root_json(struct buf *body, struct str base)
{
    struct json_writer writer = json_writer(body);
    json_object_begin(&writer);
    json_member_string(&writer, "name", STR("freshet"));
    json_member_string(&writer, "version", STR(FRESHET_VERSION));
    json_name(&writer, "links");
    json_array_begin(&writer);
    for (size_t i = 0; i < api_routes_count; i++)
        write_link(&writer, base, &api_routes[i]);
    json_array_end(&writer);
    json_object_end(&writer);
    buf_add_char(body, '\n');
}

void info_root(struct exchange *exchange, struct str rest)
{
    struct buf body = {0};
    (void)rest;
    add_root_json(&body, api_of(exchange)->base);
    answer(exchange, "application/json", &body);
}
