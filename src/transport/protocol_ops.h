/* What a client may say in freshet.v1: its messages, read and carried out. */
#pragma once

#include "transport/protocol_parts.h"

/* Reads one message and does what it says. */
void protocol_message(struct protocol *protocol, enum ws_opcode opcode, struct str data);

/* Tells that it is not known what became of a publish. */
void protocol_lost(struct protocol *protocol, struct socket_publish *publish);
