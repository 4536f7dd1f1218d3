#include "bench/report.h"

#include <inttypes.h>
#include <stdlib.h>

static double ratio(double part, double whole)
{
    return whole > 0 ? part / whole : 0;
}

/* The results of the measured interval. */
struct rates {
    double seconds;
    double published, answered, taken;
    double server_cpu_us; /* CPU time of the server in the interval */
    double own_cpu;       /* share of a core */
};

static struct rates rates_of(const struct load *load)
{
    const struct load_moment *from = &load->from, *to = &load->to;
    struct rates rates = {
        .seconds = (double)(to->time_ns - from->time_ns) / 1e9,
        .published = (double)(to->published - from->published),
        .answered = (double)(to->answered - from->answered),
        .taken = (double)(to->taken - from->taken),
        .server_cpu_us = (double)(to->usage.cpu_ns - from->usage.cpu_ns) / 1e3,
    };
    rates.own_cpu = ratio((double)(to->own_cpu_ns - from->own_cpu_ns) / 1e9, rates.seconds);
    return rates;
}

/* ---- for programs ---------------------------------------------------------------------------- */

static void add_hist(struct buf *out, const char *name, const struct hist *hist)
{
    uint64_t count = hist_count_le(hist, UINT64_MAX);
    buf_addf(out,
             ",\"%s\":{\"count\":%" PRIu64 ",\"mean\":%.1f,\"p50\":%.1f,\"p90\":%.1f,"
             "\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f}",
             name, count, ratio((double)hist->sum / 1e3, (double)count),
             (double)hist_quantile(hist, 0.5) / 1e3, (double)hist_quantile(hist, 0.9) / 1e3,
             (double)hist_quantile(hist, 0.99) / 1e3, (double)hist_quantile(hist, 0.999) / 1e3,
             (double)hist->max / 1e3);
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

static void add_usage(struct buf *out, const char *name, const struct usage *usage)
{
    buf_addf(out,
             ",\"%s\":{\"data_bytes\":%" PRIu64 ",\"rss_bytes\":%" PRIu64
             ",\"kernel_bytes\":%" PRIu64 "}",
             name, usage->data_bytes, usage->rss_bytes, usage->kernel_bytes);
}

static void add_outcome(struct buf *out, const struct load *load, int result)
{
    const struct tally *tally = &load->tally;
    bool perfect = !result && load_is_perfect(load);
    buf_addf(out, "{\"ok\":%s,\"why\":", perfect ? "true" : "false");
    buf_add_json(out, buf_str(&load->why));
    buf_addf(out,
             ",\"subscribers\":%u,\"published\":%" PRIu64 ",\"answered\":%" PRIu64
             ",\"refused\":%" PRIu64 ",\"owed\":%" PRIu64 ",\"delivered\":%" PRIu64
             ",\"missing\":%" PRIu64 ",\"repeated\":%" PRIu64 ",\"strange\":%" PRIu64
             ",\"broken\":%" PRIu64,
             load->subscriber_count, load->published, load->answered, load->refused, tally->owed,
             tally->taken, tally->owed - tally->taken, tally->repeated, tally->strange,
             load->broken);
}

void report_json(struct buf *out, const struct load *load, int result)
{
    struct rates rates = rates_of(load);
    add_outcome(out, load, result);
    buf_addf(out,
             ",\"seconds\":%.6f,\"publishes_per_s\":%.1f,\"deliveries_per_s\":%.1f,"
             "\"own_cpu\":%.3f,\"server_cpu\":%.3f,\"cpu_us_per_delivery\":%.4f,"
             "\"cpu_us_per_publish\":%.4f,\"behind_us\":%.1f,\"late_ms\":%.3f",
             rates.seconds, ratio(rates.answered, rates.seconds), ratio(rates.taken, rates.seconds),
             rates.own_cpu, ratio(rates.server_cpu_us / 1e6, rates.seconds),
             ratio(rates.server_cpu_us, rates.taken), ratio(rates.server_cpu_us, rates.answered),
             (double)load->behind_ns / 1e3, (double)load->late_ns / 1e6);
    add_hist(out, "latency_us", &load->latency_ns);
    add_hist(out, "ack_us", &load->ack_ns);
    buf_addf(out, ",\"wave_us\":%.1f", median_wave_ns(load) / 1e3);
    add_usage(out, "empty", &load->empty);
    add_usage(out, "opened", &load->opened);
    add_usage(out, "end", &load->end);
    buf_add_lit(out, "}\n");
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
             ratio(rates->server_cpu_us, rates->answered));
    buf_addf(out, "%-22s %.1f MiB; %.0f B a subscriber\n", "server's memory",
             (double)load->end.data_bytes / 1048576, ratio(more, (double)load->subscriber_count));
}

void report_text(struct buf *out, const struct load *load, int result)
{
    const struct tally *tally = &load->tally;
    struct rates rates = rates_of(load);
    buf_addf(out, "%-22s %.0f /s (%" PRIu64 " in all)\n", "acknowledged publishes",
             ratio(rates.answered, rates.seconds), load->answered);
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
                 STR_FMT(buf_str(&load->why)), tally->owed - tally->taken, tally->repeated,
                 tally->strange, load->refused, load->broken);
}
