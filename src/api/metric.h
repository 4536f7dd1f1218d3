/* Figures of the server as Prometheus reads them, in its text format 0.0.4. All names begin with
 * `freshet_`, which is not part of `name` here. */
#pragma once

#include "base/buf.h"
#include "base/hist.h"

#include <stdatomic.h>

/* A counter that another thread may be about to change. */
#define COUNTER(x) atomic_load_explicit(&(x), memory_order_relaxed)

/* Adds a metric with its help. `kind` is `gauge`, or `counter`: then the name ends with `_total`.
 */
void metric_add(struct buf *out, const char *name, const char *kind, const char *help,
                uint64_t value);

/* Adds a counter of seconds. */
void metric_add_seconds(struct buf *out, const char *name, const char *help, uint64_t us);

/* Adds a histogram of nanoseconds, in seconds. */
void metric_add_hist(struct buf *out, const char *name, const char *help, const struct hist *hist);

/* Begins a metric whose values have a label each; metric_add_labelled() adds these behind it. */
void metric_begin(struct buf *out, const char *name, const char *kind, const char *help);
void metric_add_labelled(struct buf *out, const char *name, const char *label, const char *of,
                         uint64_t value);
