/* NDJSON: a JSON value on each line. */
#include "transport/formats/formats.h"

#include "log/envelope.h"
#include "transport/formats/ops.h"

static void end_line(struct format_out *out)
{
    buf_add_char(out->bytes, '\n');
}

static void write_event(struct format_out *out, const struct event *event)
{
    envelope_add(out->bytes, event);
    end_line(out);
}

static void write_data(struct format_out *out, const struct event *event)
{
    envelope_add_data(out->bytes, event);
    end_line(out);
}

static void write_beat(struct format_out *out, uint64_t cursor)
{
    ops_add_beat(out->bytes, cursor);
    end_line(out);
}

static void write_first(struct format_out *out, const struct first_record *first)
{
    struct json_writer writer = ops_open(out->bytes, "beat");
    json_member_id(&writer, "cursor", first->cursor);
    json_member_string(&writer, "connection", first->connection);
    json_object_end(&writer);
    end_line(out);
}

static void write_gap(struct format_out *out, const struct gap *gap)
{
    ops_add_gap(out->bytes, gap);
    end_line(out);
}

static void write_bye(struct format_out *out, const struct goodbye *goodbye)
{
    ops_add_bye(out->bytes, goodbye);
    end_line(out);
}

const struct format format_ndjson = {
    .name = {"ndjson", 6},
    .counted_as = {"ndjson", 6},
    .content_type = {"application/x-ndjson", 20},
    .mechanism = MECHANISM_STREAM,
    .is_offered = true,
    .data_tells_all = true,
    .event = write_event,
    .data = write_data,
    .beat = write_beat,
    .first = write_first,
    .gap = write_gap,
    .bye = write_bye,
};
