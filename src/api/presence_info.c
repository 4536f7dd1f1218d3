#include "api/presence_info.h"

#include "api/metric.h"

/* The counters of presence: name in /stats and /metrics, kind, and help text. */
#define PRESENCE_COUNTERS(X)                                                                       \
    X(members, "members", "gauge", "Members of all channels")                                      \
    X(anonymous, "anonymous", "gauge", "Subscribers of channels with presence who have no name")   \
    X(channels, "channels", "gauge", "Channels with presence that somebody subscribes to")         \
    X(marks, "marks", "gauge", "Read marks")                                                       \
    X(joins, "joins_total", "counter", "Members that have joined")                                 \
    X(leaves, "leaves_total", "counter", "Members that have left")                                 \
    X(refused, "refused_total", "counter", "Subscribers that are no members because of a limit")   \
    X(marks_refused, "marks_refused_total", "counter", "Read marks over presence_marks_max")       \
    X(address_refused, "address_refused_total", "counter",                                         \
      "Members, marks and channels over presence_address_percent")                                 \
    X(subject_refused, "subject_refused_total", "counter",                                         \
      "Members and marks over presence_subject_percent")                                           \
    X(events_lost, "events_lost_total", "counter", "Events of presence that the log did not take")

/* NULL without presence. */
static const struct presence_stats *stats_of(const struct api *api)
{
    const struct presence *presence = api->workers_count ? api->workers[0].config.presence : NULL;
    return presence ? presence_stats(presence) : NULL;
}

void presence_info_write(struct json_writer *writer, const struct api *api)
{
    const struct presence_stats *stats = stats_of(api);
    json_name(writer, "presence");
    json_object_begin(writer);
#define PRESENCE_MEMBER(name, metric, kind, help)                                                  \
    json_member_number(writer, #name, stats ? COUNTER(stats->name) : 0);
    PRESENCE_COUNTERS(PRESENCE_MEMBER)
#undef PRESENCE_MEMBER
    json_object_end(writer);
}

void presence_info_write_bytes(struct json_writer *writer, const struct api *api)
{
    const struct presence_stats *stats = stats_of(api);
    uint64_t total = 0;
    json_name(writer, "presence");
    json_object_begin(writer);
    for (unsigned i = 0; i < PRESENCE_MEMORY_KINDS; i++) {
        uint64_t bytes = stats ? COUNTER(stats->bytes[i]) : 0;
        json_member_number(writer, presence_memory_names[i], bytes);
        total += bytes;
    }
    json_member_number(writer, "total", total);
    json_object_end(writer);
}

void presence_info_add_metrics(struct buf *out, const struct api *api)
{
    const struct presence_stats *stats = stats_of(api);
#define PRESENCE_METRIC(name, metric, kind, help)                                                  \
    metric_add(out, "presence_" metric, kind, help, stats ? COUNTER(stats->name) : 0);
    PRESENCE_COUNTERS(PRESENCE_METRIC)
#undef PRESENCE_METRIC
    metric_begin(out, "presence_bytes", "gauge", "Memory of the table of presence");
    for (unsigned i = 0; i < PRESENCE_MEMORY_KINDS; i++)
        metric_add_labelled(out, "presence_bytes", "kind", presence_memory_names[i],
                            stats ? COUNTER(stats->bytes[i]) : 0);
}
