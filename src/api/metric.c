#include "api/metric.h"

void metric_begin(struct buf *out, const char *name, const char *kind, const char *help)
{
    buf_addf(out, "# HELP freshet_%s %s\n# TYPE freshet_%s %s\n", name, help, name, kind);
}

void metric_add_labelled(struct buf *out, const char *name, const char *label, const char *of,
                         uint64_t value)
{
    buf_addf(out, "freshet_%s{%s=\"%s\"} %llu\n", name, label, of, (unsigned long long)value);
}

void metric_add(struct buf *out, const char *name, const char *kind, const char *help,
                uint64_t value)
{
    metric_begin(out, name, kind, help);
    buf_addf(out, "freshet_%s %llu\n", name, (unsigned long long)value);
}

void metric_add_seconds(struct buf *out, const char *name, const char *help, uint64_t us)
{
    metric_begin(out, name, "counter", help);
    buf_addf(out, "freshet_%s %.6f\n", name, (double)us / 1e6);
}

void metric_add_hist(struct buf *out, const char *name, const char *help, const struct hist *hist)
{
    metric_begin(out, name, "histogram", help);
    for (uint64_t us = 50; us <= 1600000; us *= 2)
        buf_addf(out, "freshet_%s_bucket{le=\"%g\"} %llu\n", name, (double)us / 1e6,
                 (unsigned long long)hist_count_le(hist, us * 1000));
    buf_addf(out, "freshet_%s_bucket{le=\"+Inf\"} %llu\nfreshet_%s_sum %g\nfreshet_%s_count %llu\n",
             name, (unsigned long long)COUNTER(hist->count), name, (double)COUNTER(hist->sum) / 1e9,
             name, (unsigned long long)COUNTER(hist->count));
}
