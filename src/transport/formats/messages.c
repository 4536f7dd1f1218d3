#include "transport/formats/messages.h"

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
