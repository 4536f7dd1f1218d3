#include "api/info.h"

#include "api/access_info.h"
#include "api/answers.h"
#include "api/log_info.h"
#include "api/metric.h"
#include "api/presence_info.h"
#include "api/totals.h"
#include "api/webhook_info.h"
#include "base/heap.h"
#include "base/json_writer.h"

#include <stdio.h>

/* ---- /stats ---------------------------------------------------------------------------------- */

static void write_us(struct json_writer *writer, const char *name, uint64_t ns)
{
    json_member_decimal(writer, name, (double)ns / 1000.0, 1);
}

static void write_hist(struct json_writer *writer, const char *name, const struct hist *hist)
{
    json_name(writer, name);
    json_object_begin(writer);
    json_member_number(writer, "count", COUNTER(hist->count));
    write_us(writer, "p50", hist_quantile(hist, 0.5));
    write_us(writer, "p90", hist_quantile(hist, 0.9));
    write_us(writer, "p99", hist_quantile(hist, 0.99));
    write_us(writer, "p999", hist_quantile(hist, 0.999));
    write_us(writer, "max", COUNTER(hist->max));
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

static void write_subscribers(struct json_writer *writer, const struct totals *totals)
{
    struct counted counted[FORMATS_COUNT + 1];
    unsigned labels = totals_subscribers(totals, counted);
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
    return api->reloads ? COUNTER(api->reloads->done) : 0;
}

static uint64_t reloads_refused(const struct api *api)
{
    return api->reloads ? COUNTER(api->reloads->refused) : 0;
}

static void write_reloads(struct json_writer *writer, const struct api *api)
{
    json_name(writer, "reloads");
    json_object_begin(writer);
    json_member_number(writer, "done", reloads_done(api));
    json_member_number(writer, "refused", reloads_refused(api));
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
    if (totals->tls_until_s)
        json_member_time(writer, "certificate_ends", (int64_t)totals->tls_until_s * 1000000);
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
    log_info_write(writer, &log);
    log_info_write_readers(writer, &log);
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
    presence_info_write_bytes(writer, api);
    json_object_end(writer);
    webhook_info_write(writer, courier_stats(api->courier));
    presence_info_write(writer, api);
    write_tls(writer, totals);
    write_audit(writer, totals);
    access_info_write(writer, api);
    write_reloads(writer, api);
    write_limits_hit(writer, totals);
    json_object_end(writer);
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
    totals_deinit(&totals);
    api_answer(exchange, "application/json", &body);
}

/* ---- /metrics -------------------------------------------------------------------------------- */

static void add_limit_metric(struct buf *out, const struct totals *totals, const char *limit_name,
                             enum limit limit)
{
    char name[48];
    snprintf(name, sizeof(name), "%s_total", limit_name);
    metric_add(out, name, "counter", limit_helps[limit], totals->limits[limit]);
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
        metric_add(out, name, "counter", budget_helps[i], totals->budgets[i]);
    }
}

static void add_held_metrics(struct buf *out, const struct totals *totals)
{
    metric_begin(out, "held_bytes", "gauge", "Memory that peers make the workers hold");
    for (unsigned i = 0; i < ACCOUNT_COUNT; i++)
        metric_add_labelled(out, "held_bytes", "kind", account_names[i], totals->held[i]);
}

static void add_labelled(struct buf *out, const struct totals *totals)
{
    metric_begin(out, "subscribers", "gauge", "Subscribers by mechanism");
    struct counted counted[FORMATS_COUNT + 1];
    unsigned labels = totals_subscribers(totals, counted);
    for (unsigned i = 0; i < labels; i++)
        metric_add_labelled(out, "subscribers", "mechanism", counted[i].label.at, counted[i].count);
    metric_add(out, "streams_compressed", "gauge", "Subscribers whose stream is compressed",
               totals->compressed);
    metric_begin(out, "problems_total", "counter", "Refused requests by problem");
    for (unsigned i = 0; i < PROBLEM_COUNT; i++)
        metric_add_labelled(out, "problems_total", "problem", problem_slug((enum problem)i).at,
                            totals->problems[i]);
}

static void add_audit_metrics(struct buf *out, const struct totals *totals)
{
    metric_begin(out, "audit_entries_total", "counter", "Entries of the audit log by type");
    for (unsigned i = 0; i < AUDIT_KINDS; i++)
        metric_add_labelled(out, "audit_entries_total", "type", audit_kind_word((enum audit_kind)i),
                            totals->audited[i]);
    metric_add(out, "audit_left_out_total", "counter", "Refusals that the audit log left out",
               totals->left_out);
}

static void add_tls_metrics(struct buf *out, const struct totals *totals)
{
    metric_add(out, "tls_handshakes_total", "counter", "Full handshakes of TLS",
               totals->handshakes);
    metric_add(out, "tls_handshakes_resumed_total", "counter", "Handshakes of TLS by a ticket",
               totals->handshakes_resumed);
    metric_add(out, "tls_handshakes_failed_total", "counter", "Handshakes of TLS that failed",
               totals->handshakes_failed);
    metric_add(out, "tls_unfinished_bytes", "gauge",
               "Memory, about, of unfinished handshakes of TLS", totals->tls_shaking);
    metric_add(out, "tls_kept_bytes", "gauge", "Records of TLS that sockets do not take",
               totals->tls_kept);
    if (totals->tls_until_s)
        metric_add(out, "tls_certificate_end_seconds", "gauge",
                   "Unix time at which the first of the certificates ends", totals->tls_until_s);
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
    metric_add(&body, "connections", "gauge", "Open connections", totals.connections);
    metric_add_seconds(&body, "busy_seconds_total", "Time in which workers had something to do",
                       totals.busy_us);
    metric_add(&body, "requests_total", "counter", "HTTP requests", totals.requests);
    metric_add(&body, "events_total", "counter", "Events appended", log.events);
    metric_add(&body, "events_retained", "gauge", "Events in the log", log.retained);
    metric_add(&body, "events_retained_bytes", "gauge", "Their data", log.retained_bytes);
    metric_add(&body, "deliveries_total", "counter", "Events handed to sockets", totals.deliveries);
    metric_add(&body, "sent_bytes_total", "counter", "Bytes handed to sockets", totals.bytes_out);
    metric_add(&body, "channels", "gauge", "Channels known", log.channels);
    metric_add(&body, "keys", "gauge", "Idempotency keys known", log.keys);
    metric_add(&body, "store_bytes", "gauge", "Bytes that the store occupies", log.store_bytes);
    metric_add(&body, "commits_total", "counter", "Commits of the store", log.commits);
    metric_add(&body, "failed_commits_total", "counter", "Commits that failed", log.failures);
    metric_add(&body, "writable", "gauge", "Whether the last commit succeeded", log.writable);
    add_tls_metrics(&body, &totals);
    add_audit_metrics(&body, &totals);
    access_info_add_metrics(&body, api);
    metric_add(&body, "reloads_total", "counter", "Reloads of the configuration",
               reloads_done(api));
    metric_add(&body, "reloads_refused_total", "counter",
               "Reloads of a configuration with a fault, which changed nothing",
               reloads_refused(api));
    log_info_add_loss_metrics(&body, &log.losses);
    webhook_info_add_metrics(&body, courier_stats(api->courier));
    presence_info_add_metrics(&body, api);
    log_info_add_reader_metrics(&body, &log);
    add_limit_metrics(&body, &totals);
    add_budget_metrics(&body, &totals);
    add_held_metrics(&body, &totals);
    metric_add(&body, "window_bytes", "gauge", "Recent events that workers keep",
               totals.window_bytes);
    metric_add(&body, "windows_own_bytes", "gauge",
               "Memory of recent events that no two workers share", totals.window_own_bytes);
    metric_add(&body, "channels_bytes", "gauge", "Table of channels", log.channels_bytes);
    metric_add(&body, "keys_bytes", "gauge", "Idempotency keys", log.keys_bytes);
    metric_add(&body, "trims_bytes", "gauge", "Trimmed ids of channels", log.store_memory.trims);
    metric_add(&body, "index_bytes", "gauge", "Index of the log's files that are not sealed",
               log.store_memory.index);
    metric_add(&body, "sqlite_bytes", "gauge", "Memory that SQLite holds", log.store_memory.sqlite);
    metric_add(&body, "patterns_bytes", "gauge", "Channel numbers remembered for patterns",
               log.resolved);
    metric_add(&body, "pending_bytes", "gauge", "Bytes that are not safe yet",
               log_pending_bytes(api->log));
    metric_add(&body, "backlog_bytes", "gauge", "Bytes not applied by the slowest thread",
               log_backlog_bytes(api->log));
    metric_add(&body, "memory_bytes", "gauge", "Resident memory", heap_resident());
    metric_add_hist(&body, "latency_seconds",
                    "From a publish's acceptance to its bytes handed to a socket", totals.latency);
    metric_add_hist(&body, "turn_seconds", "How long a turn of a worker kept all others waiting",
                    totals.turn);
    metric_add_hist(&body, "lock_seconds", "How long the lock of the log was held",
                    log_lock_hist(api->log));
    metric_add_hist(&body, "mail_seconds", "How long the oldest mail of a worker waited",
                    totals.mail);
    metric_add_hist(&body, "commit_seconds", "Duration of a commit", log_commit_hist(api->log));
    totals_deinit(&totals);
    api_answer(exchange, "text/plain; version=0.0.4; charset=utf-8", &body);
}
