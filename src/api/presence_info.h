/* The figures of presence in /stats and /metrics; zeroes without presence. */
#pragma once

#include "api/api.h"
#include "base/json_writer.h"

/* Writes the member `presence` of /stats. */
void presence_info_write(struct json_writer *writer, const struct api *api);
/* Writes the member `presence` of its `memory`. */
void presence_info_write_bytes(struct json_writer *writer, const struct api *api);

/* Adds the metrics. */
void presence_info_add_metrics(struct buf *out, const struct api *api);
