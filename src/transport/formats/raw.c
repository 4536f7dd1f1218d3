/* Raw: the bytes of each event's data and a line end. There is no place for a gap or a goodbye. */
#include "transport/formats/formats.h"

static void write_data(struct format_out *out, const struct event *event)
{
    buf_add_str(out->bytes, event->data);
    buf_add_char(out->bytes, '\n');
}

static void write_beat(struct format_out *out, uint64_t cursor)
{
    (void)cursor;
    buf_add_char(out->bytes, '\n');
}

const struct format format_raw = {
    .name = {"raw", 3},
    .counted_as = {"raw", 3},
    .content_type = {"application/octet-stream", 24},
    .mechanism = MECHANISM_STREAM,
    .is_sniffed = true,
    .data = write_data,
    .beat = write_beat,
};
