/* Pages of polls: the elements of a JSON array. page_answer.c writes the object around them; a gap
 * is a problem document. */
#include "transport/formats/formats.h"

#include "log/envelope.h"

static void write_event(struct format_out *out, const struct event *event)
{
    envelope_add(out->bytes, event);
    buf_add_char(out->bytes, ',');
}

static void write_data(struct format_out *out, const struct event *event)
{
    envelope_add_data(out->bytes, event);
    buf_add_char(out->bytes, ',');
}

const struct format format_page = {
    .name = {"page", 4},
    .counted_as = {"poll", 4},
    .content_type = {"application/json", 16},
    .mechanism = MECHANISM_POLL,
    .separator = {",", 1},
    .event = write_event,
    .data = write_data,
};
