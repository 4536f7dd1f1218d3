/* The figures of the log in /stats and /metrics, and what it has lost. */
#pragma once

#include "base/json_writer.h"
#include "log/log.h"

/* Writes the member `log` of /stats. */
void log_info_write(struct json_writer *writer, const struct log_stats *log);
/* Writes the member `readers`. */
void log_info_write_readers(struct json_writer *writer, const struct log_stats *log);
/* Writes the member `lost`. */
void log_info_write_losses(struct json_writer *writer, const struct store_losses *losses);

/* Adds the metrics of readers. */
void log_info_add_reader_metrics(struct buf *out, const struct log_stats *log);
/* Adds those of losses. */
void log_info_add_loss_metrics(struct buf *out, const struct store_losses *losses);
