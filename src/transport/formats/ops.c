#include "transport/formats/ops.h"

struct json_writer ops_open(struct buf *out, const char *op)
{
    struct json_writer writer = json_writer(out);
    json_object_begin(&writer);
    json_member_string(&writer, "op", str_from(op));
    return writer;
}

void ops_write_gap(struct json_writer *writer, uint64_t after, uint64_t earliest,
                   const char *reason)
{
    json_member_id(writer, "after", after);
    json_member_id(writer, "earliest", earliest);
    json_member_string(writer, "reason", str_from(reason));
}

void ops_add_beat(struct buf *out, uint64_t cursor)
{
    struct json_writer writer = ops_open(out, "beat");
    json_member_id(&writer, "cursor", cursor);
    json_object_end(&writer);
}

void ops_add_gap(struct buf *out, const struct gap *gap)
{
    struct json_writer writer = ops_open(out, "gap");
    if (gap->ref.len)
        json_member_raw(&writer, "ref", gap->ref);
    ops_write_gap(&writer, gap->after, gap->earliest, gap->reason);
    json_object_end(&writer);
}

void ops_add_bye(struct buf *out, const struct goodbye *goodbye)
{
    struct json_writer writer = ops_open(out, "bye");
    json_member_string(&writer, "reason", ending_reason(goodbye->why));
    json_member_id(&writer, "cursor", goodbye->cursor);
    json_member_number(&writer, "retry_ms", goodbye->retry_ms);
    json_object_end(&writer);
}
