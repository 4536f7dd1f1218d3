/* freshet.v1: every record is a JSON object with an `op`, in a text message of its own. */
#include "transport/formats/formats.h"

#include "log/envelope.h"
#include "transport/formats/messages.h"
#include "transport/formats/ops.h"

static void write_event(struct format_out *out, const struct event *event)
{
    struct buf message = {0};
    struct json_writer writer = ops_open(&message, "event");
    json_name(&writer, "event");
    envelope_write(&writer, event);
    json_object_end(&writer);
    message_add_text(out, &message);
}

/* The empty ping beside the beat asks the peer for a pong, which shows that it is alive. */
static void write_beat(struct format_out *out, uint64_t cursor)
{
    struct buf message = {0};
    ops_add_beat(&message, cursor);
    message_add_text(out, &message);
    ws_add_frame(out->bytes, true, false, WS_PING, STR_NONE, NULL);
}

static void write_bye(struct format_out *out, const struct goodbye *goodbye)
{
    struct buf message = {0};
    ops_add_bye(&message, goodbye);
    message_add_text(out, &message);
}

const struct format format_freshet_v1 = {
    .name = {"freshet.v1", 10},
    .counted_as = {"ws", 2},
    .mechanism = MECHANISM_WEBSOCKET,
    .event = write_event,
    .beat = write_beat,
    .gap = message_add_gap,
    .bye = write_bye,
};
