/* A channel's WebSocket: a message for each event. A beat is a ping with the cursor as its payload,
 * so that it is no event to the client. The close frame serves as the goodbye. */
#include "transport/formats/formats.h"

#include "log/envelope.h"
#include "transport/formats/messages.h"
#include "transport/formats/ops.h"

static void write_event(struct format_out *out, const struct event *event)
{
    struct buf message = {0};
    envelope_add(&message, event);
    message_add_text(out, &message);
}

static void write_data(struct format_out *out, const struct event *event)
{
    message_add(out, event->kind == EVENT_BINARY ? WS_BINARY : WS_TEXT, event->data);
}

static void write_beat(struct format_out *out, uint64_t cursor)
{
    struct buf payload = {0};
    buf_add_id(&payload, cursor);
    if (!buf_failed(&payload))
        ws_add_frame(out->bytes, true, false, WS_PING, buf_str(&payload), NULL);
    buf_free(&payload);
}

const struct format format_websocket = {
    .name = {"websocket", 9},
    .counted_as = {"ws", 2},
    .mechanism = MECHANISM_WEBSOCKET,
    .event = write_event,
    .data = write_data,
    .beat = write_beat,
    .gap = message_add_gap,
};
