#include "api/webhook_info.h"

#include "api/metric.h"

void webhook_info_write(struct json_writer *writer, const struct courier_stats *stats)
{
    json_name(writer, "webhooks");
    json_object_begin(writer);
    json_member_number(writer, "endpoints", COUNTER(stats->endpoints));
    json_member_number(writer, "refused", COUNTER(stats->refused));
    json_member_number(writer, "deliveries", COUNTER(stats->deliveries));
    json_member_number(writer, "failures", COUNTER(stats->failures));
    json_member_number(writer, "skipped", COUNTER(stats->looped));
    json_member_number(writer, "looped", COUNTER(stats->looped)); /* the former name */
    json_member_number(writer, "requests_max", COUNTER(stats->requests_max));
    json_name(writer, "requests");
    json_object_begin(writer);
    for (unsigned i = 0; i < POOL_CLASSES; i++)
        json_member_number(writer, pool_class_names[i], COUNTER(stats->inflight[i]));
    json_object_end(writer);
    json_member_number(writer, "waiting", COUNTER(stats->waiting));
    json_member_number(writer, "waits", COUNTER(stats->waits));
    json_member_number(writer, "aborted", COUNTER(stats->gave_way));
    json_member_number(writer, "gave_way", COUNTER(stats->gave_way)); /* the former name */
    json_member_number(writer, "backlog", COUNTER(stats->backlog));
    json_name(writer, "held");
    json_object_begin(writer);
    json_member_number(writer, "queues", COUNTER(stats->queued));
    json_member_number(writer, "requests", COUNTER(stats->bodies));
    json_member_number(writer, "reads", COUNTER(stats->found));
    json_object_end(writer);
    json_member_number(writer, "missed", COUNTER(stats->missed));
    json_member_number(writer, "turns_cut", COUNTER(stats->turns_cut));
    json_object_end(writer);
}

void webhook_info_add_metrics(struct buf *out, const struct courier_stats *stats)
{
    metric_add(out, "webhook_deliveries_total", "counter", "Events that webhooks accepted",
               COUNTER(stats->deliveries));
    metric_add(out, "webhook_refused_total", "counter",
               "Webhooks over endpoints_max or subject_endpoints_max, refused",
               COUNTER(stats->refused));
    metric_add(out, "webhook_failures_total", "counter", "Requests of webhooks that failed",
               COUNTER(stats->failures));
    metric_add(out, "webhook_skipped_total", "counter",
               "Events that webhooks did not send because of too many hops",
               COUNTER(stats->looped));
    metric_add(out, "webhook_looped_total", "counter", "The former name of webhook_skipped_total",
               COUNTER(stats->looped));
    metric_add(out, "webhook_requests_max", "gauge", "Requests of webhooks at a time, at most",
               COUNTER(stats->requests_max));
    metric_begin(out, "webhook_requests", "gauge", "Requests of webhooks under way");
    for (unsigned i = 0; i < POOL_CLASSES; i++)
        metric_add_labelled(out, "webhook_requests", "class", pool_class_names[i],
                            COUNTER(stats->inflight[i]));
    metric_add(out, "webhook_waiting", "gauge", "Webhooks that wait for a request of others to end",
               COUNTER(stats->waiting));
    metric_add(out, "webhook_waits_total", "counter",
               "How often a webhook had to wait for a request of others", COUNTER(stats->waits));
    metric_add(out, "webhook_aborted_total", "counter",
               "Requests of webhooks aborted for others, and repeated", COUNTER(stats->gave_way));
    metric_add(out, "webhook_gave_way_total", "counter", "The former name of webhook_aborted_total",
               COUNTER(stats->gave_way));
    metric_add(out, "webhook_backlog_bytes", "gauge",
               "Bytes of events that webhooks have not looked at yet", COUNTER(stats->backlog));
    metric_begin(out, "webhook_held_bytes", "gauge", "Memory that webhooks hold");
    metric_add_labelled(out, "webhook_held_bytes", "kind", "queues", COUNTER(stats->queued));
    metric_add_labelled(out, "webhook_held_bytes", "kind", "requests", COUNTER(stats->bodies));
    metric_add_labelled(out, "webhook_held_bytes", "kind", "reads", COUNTER(stats->found));
    metric_add(out, "webhook_missed_total", "counter",
               "Overflows of that backlog, after which webhooks read the store",
               COUNTER(stats->missed));
    metric_add(out, "webhook_turns_cut_total", "counter",
               "Turns of the webhooks' thread whose time was over before their work",
               COUNTER(stats->turns_cut));
}
