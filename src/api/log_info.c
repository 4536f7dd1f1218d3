#include "api/log_info.h"

#include "api/metric.h"

void log_info_write_losses(struct json_writer *writer, const struct store_losses *losses)
{
    json_name(writer, "lost");
    json_object_begin(writer);
    json_member_number(writer, "holes", losses->holes);
    if (losses->holes) {
        json_member_id(writer, "after", losses->after);
        json_member_id(writer, "upto", losses->upto);
    }
    json_member_number(writer, "foreign_files", losses->foreign);
    json_member_number(writer, "damaged", losses->damaged);
    json_object_end(writer);
}

void log_info_write(struct json_writer *writer, const struct log_stats *log)
{
    json_name(writer, "log");
    json_object_begin(writer);
    json_member_id(writer, "newest", log->newest);
    json_member_id(writer, "oldest", log->oldest);
    json_member_number(writer, "published", log->events);
    json_member_number(writer, "published_bytes", log->event_bytes);
    json_member_number(writer, "retained", log->retained);
    json_member_number(writer, "retained_bytes", log->retained_bytes);
    json_member_number(writer, "channels", log->channels);
    json_member_number(writer, "keys", log->keys);
    json_member_number(writer, "store_bytes", log->store_bytes);
    json_member_number(writer, "commits", log->commits);
    json_member_number(writer, "failed_commits", log->failures);
    log_info_write_losses(writer, &log->losses);
    json_member_number(writer, "given_up_files", log->losses.given_up);
    json_member_bool(writer, "writable", log->writable);
    json_object_end(writer);
}

void log_info_write_readers(struct json_writer *writer, const struct log_stats *log)
{
    json_name(writer, "readers");
    json_object_begin(writer);
    json_member_number(writer, "queued", log->readers.queued);
    json_member_number(writer, "running", log->readers.running);
    json_member_number(writer, "slices", log->readers.slices);
    json_member_number(writer, "rows", log->readers.rows);
    json_member_number(writer, "cancelled", log->readers.cancelled);
    json_member_number(writer, "spent", log->readers.spent);
    json_object_end(writer);
}

void log_info_add_reader_metrics(struct buf *out, const struct log_stats *log)
{
    metric_add(out, "readers_queued", "gauge", "Reads of the store that wait for their turn",
               log->readers.queued);
    metric_add(out, "readers_running", "gauge", "Reads of the store under way",
               log->readers.running);
    metric_add(out, "readers_slices_total", "counter", "Slices of reads of the store",
               log->readers.slices);
    metric_add(out, "readers_rows_total", "counter", "Rows that reads of the store looked at",
               log->readers.rows);
    metric_add(out, "readers_cancelled_total", "counter", "Reads whose client was gone",
               log->readers.cancelled);
    metric_add(out, "readers_spent_total", "counter", "Reads that were ended by their allowance",
               log->readers.spent);
}

void log_info_add_loss_metrics(struct buf *out, const struct store_losses *losses)
{
    metric_add(out, "holes", "gauge", "Ranges of ids in the log whose files are missing",
               losses->holes);
    metric_add(out, "foreign_files", "gauge", "Files in the folder that are not of the log",
               losses->foreign);
    metric_add(out, "damaged_total", "counter",
               "Events, or runs of them, that were found damaged and are not served",
               losses->damaged);
    metric_add(out, "given_up_files", "gauge",
               "Damaged files that upkeep cannot rewrite: deleted events stay in them",
               losses->given_up);
}
