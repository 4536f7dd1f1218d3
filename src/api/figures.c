#include "api/figures.h"

#include "api/api.h"
#include "base/heap.h"
#include "base/json_writer.h"
#include "webhooks/courier.h"

#include <stdlib.h>

enum {
    INTERVAL_MS = 1000,
    IDLE_MS = 5000, /* from the last listener to the end: a poller comes back within that */
    SLOW_NS = 100 * 1000 * 1000,
    REFUSED_TOLD = 8,
};

/* Counters at some moment. */
struct sample {
    int64_t at_ns;
    uint64_t events, deliveries, bytes;
    struct hist latency;
};

struct figures {
    struct worker *workers;
    unsigned count;
    struct mail start;
    atomic_bool starting; /* `start` is under way */
    _Atomic int64_t heard_ns;
    struct timer timer;
    struct sample before, now;
    struct hist since;
    struct publish publish;
    bool publishing;
    atomic_uint looking; /* workers that have not looked for listeners yet */
    bool has_refused;    /* the looks' tables are of a single second */
    struct look {
        struct mail mail;
        struct figures *figures;
        struct top refused; /* since the look before */
    } looks[];
};

#define LOAD(x) atomic_load_explicit(&(x), memory_order_relaxed)

static struct worker *maker(const struct figures *figures)
{
    return &figures->workers[0];
}

/* ---- samples --------------------------------------------------------------------------------- */

static void take_sample(const struct figures *figures, const struct log_stats *log,
                        struct sample *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->at_ns = clock_now_ns(maker(figures)->config.clock);
    ret->events = log->events;
    for (unsigned i = 0; i < figures->count; i++) {
        const struct worker_stats *stats = &figures->workers[i].stats;
        ret->deliveries += LOAD(stats->deliveries);
        ret->bytes += LOAD(stats->bytes_out);
        hist_merge(&ret->latency, &stats->latency_ns);
    }
}

static void write_rate(struct json_writer *writer, const char *name, uint64_t more, double seconds)
{
    json_member_decimal(writer, name, seconds > 0 ? (double)more / seconds : 0, 1);
}

static void write_rates(struct json_writer *writer, const struct figures *figures)
{
    const struct sample *now = &figures->now, *before = &figures->before;
    double seconds = (double)(now->at_ns - before->at_ns) / 1e9;
    write_rate(writer, "events_per_s", now->events - before->events, seconds);
    write_rate(writer, "deliveries_per_s", now->deliveries - before->deliveries, seconds);
    write_rate(writer, "bytes_per_s", now->bytes - before->bytes, seconds);
}

static void write_ms(struct json_writer *writer, const char *name, uint64_t ns)
{
    json_member_decimal(writer, name, (double)ns / 1e6, 3);
}

static void write_latency(struct json_writer *writer, struct figures *figures)
{
    struct hist *since = &figures->since;
    hist_since(since, &figures->now.latency, &figures->before.latency);
    uint64_t count = LOAD(since->count);
    json_name(writer, "latency_ms");
    json_object_begin(writer);
    json_member_number(writer, "count", count);
    write_ms(writer, "p50", hist_quantile(since, 0.5));
    write_ms(writer, "p99", hist_quantile(since, 0.99));
    write_ms(writer, "max", LOAD(since->max));
    json_member_number(writer, "over_100", count - hist_count_le(since, SLOW_NS));
    json_object_end(writer);
}

/* ---- the state now --------------------------------------------------------------------------- */

static uint64_t count_format(const struct figures *figures, unsigned format)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < figures->count; i++)
        count += LOAD(figures->workers[i].stats.subscribers[format]);
    return count;
}

/* Formats with the same label stand side by side in the table. */
static void write_subscribers(struct json_writer *writer, const struct figures *figures,
                              uint64_t webhooks)
{
    uint64_t all = webhooks;
    json_name(writer, "subscribers");
    json_object_begin(writer);
    for (unsigned i = 0; i < FORMATS_COUNT;) {
        struct str label = format_of((enum format_id)i)->counted_as;
        uint64_t count = 0;
        for (; i < FORMATS_COUNT && str_eq(format_of((enum format_id)i)->counted_as, label); i++)
            count += count_format(figures, i);
        json_member_number(writer, label.at, count);
        all += count;
    }
    json_member_number(writer, "webhook", webhooks);
    json_member_number(writer, "total", all);
    json_object_end(writer);
}

static void write_connections(struct json_writer *writer, const struct figures *figures)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < figures->count; i++)
        count += LOAD(figures->workers[i].stats.connections);
    json_member_number(writer, "connections", count);
}

/* The limits that were hit, with how often since the start. */
static void write_limits(struct json_writer *writer, const struct figures *figures)
{
    json_name(writer, "limits");
    json_object_begin(writer);
    for (unsigned limit = 0; limit < LIMIT_COUNT; limit++) {
        uint64_t hits = 0;
        for (unsigned i = 0; i < figures->count; i++)
            hits += worker_hits(&figures->workers[i], (enum limit)limit);
        if (hits)
            json_member_number(writer, limit_names[limit], hits);
    }
    json_object_end(writer);
}

/* The clients that hit limits in the last second, the most frequent first. */
static void write_refused(struct json_writer *writer, const struct figures *figures)
{
    struct top top = {0};
    for (unsigned i = 0; i < figures->count; i++)
        top_merge(&top, &figures->looks[i].refused);
    top_sort(&top);
    json_name(writer, "refused");
    json_array_begin(writer);
    for (unsigned i = 0; i < REFUSED_TOLD && top.places[i].count; i++) {
        const struct top_place *place = &top.places[i];
        json_object_begin(writer);
        json_member_string(writer, "problem", problem_slug((enum problem)(place->kind / 2)));
        json_member_bytes(writer, place->kind % 2 ? "subject" : "address",
                          (struct str){place->name, place->len});
        json_member_number(writer, "count", place->count);
        json_object_end(writer);
    }
    json_array_end(writer);
}

static void write_log(struct json_writer *writer, const struct log_stats *log)
{
    json_name(writer, "log");
    json_object_begin(writer);
    json_member_id(writer, "newest", log->newest);
    json_member_id(writer, "oldest", log->oldest);
    json_member_number(writer, "retained", log->retained);
    json_member_number(writer, "retained_bytes", log->retained_bytes);
    json_member_number(writer, "channels", log->channels);
    json_member_number(writer, "store_bytes", log->store_bytes);
    json_member_bool(writer, "writable", log->writable);
    json_object_end(writer);
}

static void write_webhooks(struct json_writer *writer, const struct courier_stats *stats)
{
    uint64_t under_way = 0;
    for (unsigned i = 0; i < POOL_CLASSES; i++)
        under_way += LOAD(stats->inflight[i]);
    json_name(writer, "webhooks");
    json_object_begin(writer);
    json_member_number(writer, "endpoints", LOAD(stats->endpoints));
    json_member_number(writer, "deliveries", LOAD(stats->deliveries));
    json_member_number(writer, "failures", LOAD(stats->failures));
    json_member_number(writer, "requests", under_way);
    json_member_number(writer, "waiting", LOAD(stats->waiting));
    json_member_number(writer, "backlog", LOAD(stats->backlog));
    json_object_end(writer);
}

static void write_event(struct buf *out, struct figures *figures, const struct log_stats *log)
{
    const struct api *api = maker(figures)->config.app;
    const struct courier_stats *webhooks = courier_stats(api->courier);
    struct json_writer writer = json_writer(out);
    json_object_begin(&writer);
    json_member_time(&writer, "at", clock_wall_us(maker(figures)->config.clock));
    write_rates(&writer, figures);
    write_subscribers(&writer, figures, LOAD(webhooks->endpoints));
    write_connections(&writer, figures);
    write_latency(&writer, figures);
    write_limits(&writer, figures);
    if (figures->has_refused && !atomic_load(&figures->looking))
        write_refused(&writer, figures);
    write_log(&writer, log);
    write_webhooks(&writer, webhooks);
    json_member_number(&writer, "memory", heap_resident());
    json_object_end(&writer);
}

/* ---- events ---------------------------------------------------------------------------------- */

static void published(struct publish *publish, struct batch *batch)
{
    (void)batch;
    container_of(publish, struct figures, publish)->publishing = false;
}

/* An event that the log has not answered yet makes the next one wait for its turn. */
static void publish(struct figures *figures, struct str data)
{
    const struct publisher server = {.is_server = true, .access = ACCESS_OF_SERVER};
    const struct proposal proposal = {.channel = FIGURES_CHANNEL,
                                      .type = STR("stats"),
                                      .data = data,
                                      .kind = EVENT_JSON,
                                      .is_checked = true,
                                      .ephemeral = true};
    struct refusal refusal;
    if (figures->publishing || maker(figures)->stopping)
        return;
    figures->publish = (struct publish){.done = published};
    figures->publishing = submit_proposal(&maker(figures)->submitter, &server, &proposal,
                                          &figures->publish, &refusal);
}

static void tell(struct figures *figures)
{
    struct buf data = {0};
    struct log_stats log;
    const struct api *api = maker(figures)->config.app;
    log_stats(api->log, &log);
    take_sample(figures, &log, &figures->now);
    write_event(&data, figures, &log);
    if (!buf_failed(&data))
        publish(figures, buf_str(&data));
    figures->before = figures->now;
    buf_free(&data);
}

/* ---- listeners ------------------------------------------------------------------------------- */

static void look(struct mail *mail, void *owner)
{
    struct figures *figures = container_of(mail, struct look, mail)->figures;
    struct worker *worker = owner;
    struct top *refused = &container_of(mail, struct look, mail)->refused;
    *refused = worker->refused;
    worker->refused = (struct top){0};
    if (hub_has_name(&worker->hub, FIGURES_CHANNEL))
        atomic_store(&figures->heard_ns, clock_now_ns(worker->config.clock));
    atomic_fetch_sub(&figures->looking, 1);
}

static void look_for_listeners(struct figures *figures)
{
    if (atomic_load(&figures->looking))
        return; /* a worker is late */
    atomic_store(&figures->looking, figures->count);
    for (unsigned i = 0; i < figures->count; i++) {
        figures->looks[i].mail.open = look;
        mailbox_post(&figures->workers[i].loop.mailbox, &figures->looks[i].mail);
    }
}

static void ring(struct timer *timer)
{
    struct figures *figures = container_of(timer, struct figures, timer);
    struct worker *worker = maker(figures);
    int64_t idle_ns = clock_now_ns(worker->config.clock) - atomic_load(&figures->heard_ns);
    if (idle_ns > IDLE_MS * INT64_C(1000000) || worker->draining)
        return;
    timer_set(&worker->loop, timer, INTERVAL_MS);
    tell(figures);
    look_for_listeners(figures);
    figures->has_refused = true;
}

static void start(struct mail *mail, void *owner)
{
    struct figures *figures = container_of(mail, struct figures, start);
    struct worker *worker = owner;
    const struct api *api = worker->config.app;
    struct log_stats log;
    atomic_store(&figures->starting, false);
    atomic_store(&figures->heard_ns, clock_now_ns(worker->config.clock));
    if (list_linked(&figures->timer.node) || worker->stopping)
        return;
    log_stats(api->log, &log);
    take_sample(figures, &log, &figures->before);
    figures->has_refused = false; /* the tables have what came while nobody listened */
    look_for_listeners(figures);
    timer_set(&worker->loop, &figures->timer, INTERVAL_MS);
}

void figures_wanted(void *app)
{
    const struct api *api = app;
    struct figures *figures = api->figures;
    if (!figures || atomic_exchange(&figures->starting, true))
        return;
    figures->start.open = start;
    mailbox_post(&maker(figures)->loop.mailbox, &figures->start);
}

struct figures *figures_new(struct worker *workers, unsigned count)
{
    size_t size = sizeof(struct figures) + count * sizeof(struct look);
    struct figures *figures = mem_try_alloc(size);
    if (!figures)
        return NULL;
    memset(figures, 0, size);
    figures->workers = workers;
    figures->count = count;
    figures->timer.ring = ring;
    for (unsigned i = 0; i < count; i++)
        figures->looks[i].figures = figures;
    return figures;
}

void figures_free(struct figures *figures)
{
    free(figures);
}
