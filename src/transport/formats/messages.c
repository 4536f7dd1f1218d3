#include "transport/formats/messages.h"

#include "transport/formats/ops.h"

void message_add(struct format_out *out, enum ws_opcode opcode, struct str payload)
{
    ws_add_message(out->bytes, out->deflater, out->window_bits, opcode, payload);
}

void message_add_text(struct format_out *out, struct buf *payload)
{
    if (buf_failed(payload))
        out->bytes->failed = true;
    else
        message_add(out, WS_TEXT, buf_str(payload));
    buf_free(payload);
}

void message_add_gap(struct format_out *out, const struct gap *gap)
{
    struct buf message = {0};
    ops_add_gap(&message, gap);
    message_add_text(out, &message);
}
