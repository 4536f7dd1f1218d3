/* WebSocket messages as records of a format, compressed if the connection has negotiated it. */
#pragma once

#include "transport/formats/format.h"

void message_add(struct format_out *out, enum ws_opcode opcode, struct str payload);

/* Adds a gap as freshet.v1 and a channel's WebSocket write it: a text message, `{"op":"gap",…}`. */
void message_add_gap(struct format_out *out, const struct gap *gap);

/* Adds a text message and frees its payload, which may have failed. */
void message_add_text(struct format_out *out, struct buf *payload);
