/* The figures of access in /stats and /metrics: tokens that are remembered, and questions to the
 * operator's servers. */
#pragma once

#include "api/api.h"
#include "base/json_writer.h"

/* Writes the member `access` of /stats. */
void access_info_write(struct json_writer *writer, const struct api *api);

/* Adds the metrics. */
void access_info_add_metrics(struct buf *out, const struct api *api);
