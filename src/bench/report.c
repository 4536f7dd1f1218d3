#include "bench/report.h"

#include "base/json_writer.h"

#include <inttypes.h>
#include <stdlib.h>

static double ratio(double part, double whole)
{
    return whole > 0 ? part / whole : 0;
}

/* The results of the measured interval. */
struct rates {
    double seconds;
    double published, accepted, taken;
    double server_cpu_us; /* CPU time of the server in the interval */
    double own_cpu;       /* share of a core */
};

static struct rates rates_of(const struct load *load)
{
    const struct load_moment *from = &load->from, *to = &load->to;
    struct rates rates = {
        .seconds = (double)(to->time_ns - from->time_ns) / 1e9,
        .published = (double)(to->published - from->published),
        .accepted = (double)(to->accepted - from->accepted),
        .taken = (double)(to->taken - from->taken),
        .server_cpu_us = (double)(to->usage.cpu_ns - from->usage.cpu_ns) / 1e3,
    };
    rates.own_cpu = ratio((double)(to->own_cpu_ns - from->own_cpu_ns) / 1e9, rates.seconds);
    return rates;
}

/* ---- for programs ---------------------------------------------------------------------------- */

static void write_hist(struct json_writer *writer, const char *name, const struct hist *hist)
{
    static const struct {
        const char *name;
        double share;
    } quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}};
    uint64_t count = hist_count_le(hist, UINT64_MAX);
    json_name(writer, name);
    json_object_begin(writer);
    json_member_number(writer, "count", count);
    json_member_decimal(writer, "mean", ratio((double)hist->sum / 1e3, (double)count), 1);
    for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++)
        json_member_decimal(writer, quantiles[i].name,
                            (double)hist_quantile(hist, quantiles[i].share) / 1e3, 1);
    json_member_decimal(writer, "max", (double)hist->max / 1e3, 1);
    json_object_end(writer);
}

static int by_size(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* Exact, unlike a histogram's median: a small difference may decide between two servers. */
static double median_wave_ns(const struct load *load)
{
    qsort(load->wave_ns, load->wave_count, sizeof(uint64_t), by_size);
    size_t middle = load->wave_count / 2;
    return load->wave_count ? (double)load->wave_ns[middle] : 0;
}

static void write_usage(struct json_writer *writer, const char *name, const struct usage *usage)
{
    json_name(writer, name);
    json_object_begin(writer);
    json_member_number(writer, "data_bytes", usage->data_bytes);
    json_member_number(writer, "rss_bytes", usage->rss_bytes);
    json_member_number(writer, "kernel_bytes", usage->kernel_bytes);
    json_object_end(writer);
}

static void write_outcome(struct json_writer *writer, const struct load *load, int result)
{
    const struct tally *tally = &load->tally;
    json_member_bool(writer, "ok", !result && load_is_perfect(load));
    json_member_string(writer, "why", buf_str(&load->why));
    json_member_number(writer, "subscribers", load->subscriber_count);
    json_member_number(writer, "published", load->published);
    json_member_number(writer, "answered", load->answered);
    json_member_number(writer, "accepted", load->accepted);
    json_member_number(writer, "refused", load->refused);
    json_member_number(writer, "owed", tally->due);
    json_member_number(writer, "delivered", tally->taken);
    json_member_number(writer, "missing", tally->due - tally->taken);
    json_member_number(writer, "repeated", tally->repeated);
    json_member_number(writer, "strange", tally->strange);
    json_member_number(writer, "broken", load->broken);
}

static void write_rates(struct json_writer *writer, const struct rates *rates)
{
    json_member_decimal(writer, "seconds", rates->seconds, 6);
    json_member_decimal(writer, "publishes_per_s", ratio(rates->accepted, rates->seconds), 1);
    json_member_decimal(writer, "deliveries_per_s", ratio(rates->taken, rates->seconds), 1);
    json_member_decimal(writer, "own_cpu", rates->own_cpu, 3);
    json_member_decimal(writer, "server_cpu", ratio(rates->server_cpu_us / 1e6, rates->seconds), 3);
    json_member_decimal(writer, "cpu_us_per_delivery", ratio(rates->server_cpu_us, rates->taken),
                        4);
    json_member_decimal(writer, "cpu_us_per_publish", ratio(rates->server_cpu_us, rates->accepted),
                        4);
}

void report_json(struct buf *out, const struct load *load, int result)
{
    struct json_writer writer = json_writer(out);
    struct rates rates = rates_of(load);
    json_object_begin(&writer);
    write_outcome(&writer, load, result);
    write_rates(&writer, &rates);
    json_member_decimal(&writer, "behind_us", (double)load->behind_ns / 1e3, 1);
    json_member_decimal(&writer, "late_ms", (double)load->late_ns / 1e6, 3);
    write_hist(&writer, "latency_us", &load->latency_ns);
    write_hist(&writer, "ack_us", &load->ack_ns);
    json_member_decimal(&writer, "wave_us", median_wave_ns(load) / 1e3, 1);
    write_usage(&writer, "empty", &load->empty);
    write_usage(&writer, "opened", &load->opened);
    write_usage(&writer, "end", &load->end);
    json_object_end(&writer);
    buf_add_char(out, '\n');
}

/* ---- for people ------------------------------------------------------------------------------ */

static void add_line(struct buf *out, const char *name, const struct hist *hist)
{
    if (!hist_count_le(hist, UINT64_MAX))
        return;
    buf_addf(out, "%-22s p50 %.3f ms, p99 %.3f ms, most %.3f ms\n", name,
             (double)hist_quantile(hist, 0.5) / 1e6, (double)hist_quantile(hist, 0.99) / 1e6,
             (double)hist->max / 1e6);
}

static void add_histogram(struct buf *out, const struct hist *hist)
{
    uint64_t all = hist_count_le(hist, UINT64_MAX), before = 0;
    for (uint64_t most = 1 << 14; all && before < all; most <<= 1) {
        uint64_t count = hist_count_le(hist, most - 1) - before;
        before += count;
        int width = (int)(50.0 * (double)count / (double)all + 0.5);
        if (count)
            buf_addf(out, "  < %10.3f ms %6.2f %% %.*s\n", (double)most / 1e6,
                     100.0 * (double)count / (double)all, width,
                     "##################################################");
    }
}

static void add_server(struct buf *out, const struct load *load, const struct rates *rates)
{
    double more = (double)load->opened.data_bytes - (double)load->empty.data_bytes;
    buf_addf(out, "%-22s %.2f cores; %.2f us a delivery, %.2f us a publish\n", "server's CPU",
             ratio(rates->server_cpu_us / 1e6, rates->seconds),
             ratio(rates->server_cpu_us, rates->taken),
             ratio(rates->server_cpu_us, rates->accepted));
    buf_addf(out, "%-22s %.1f MiB; %.0f B a subscriber\n", "server's memory",
             (double)load->end.data_bytes / 1048576, ratio(more, (double)load->subscriber_count));
}

void report_text(struct buf *out, const struct load *load, int result)
{
    const struct tally *tally = &load->tally;
    struct rates rates = rates_of(load);
    buf_addf(out, "%-22s %.0f /s (%" PRIu64 " in all)\n", "acknowledged publishes",
             ratio(rates.accepted, rates.seconds), load->accepted);
    if (load->refused)
        buf_addf(out, "%-22s %" PRIu64 "\n", "refused publishes", load->refused);
    buf_addf(out, "%-22s %.0f /s (%" PRIu64 " in all)\n", "deliveries",
             ratio(rates.taken, rates.seconds), tally->taken);
    add_line(out, "publish to receipt", &load->latency_ns);
    add_histogram(out, &load->latency_ns);
    add_line(out, "publish to answer", &load->ack_ns);
    if (load->wave_count)
        buf_addf(out, "%-22s %.3f ms (median of %zu)\n", "until the last has it",
                 median_wave_ns(load) / 1e6, load->wave_count);
    if (load->late_ns)
        buf_addf(out, "%-22s %.3f ms\n", "all had caught up after", (double)load->late_ns / 1e6);
    if (load->plan->pid_count)
        add_server(out, load, &rates);
    buf_addf(out, "%-22s %.2f of a core\n", "this program's CPU", rates.own_cpu);
    if (!result && load_is_perfect(load))
        buf_addf(out, "every event came once and in order at every subscriber\n");
    else
        buf_addf(out,
                 "NOT WELL: %.*s\n%" PRIu64 " deliveries missing, %" PRIu64
                 " repeated or out of order, %" PRIu64 " strange; %" PRIu64
                 " publishes refused, %" PRIu64 " connections broken\n",
                 STR_FMT(buf_str(&load->why)), tally->due - tally->taken, tally->repeated,
                 tally->strange, load->refused, load->broken);
}
