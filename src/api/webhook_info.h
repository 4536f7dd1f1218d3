/* The figures of webhooks in /stats and /metrics. */
#pragma once

#include "base/json_writer.h"
#include "webhooks/courier.h"

/* Writes the member `webhooks` of /stats. */
void webhook_info_write(struct json_writer *writer, const struct courier_stats *stats);

/* Adds the metrics. */
void webhook_info_add_metrics(struct buf *out, const struct courier_stats *stats);
