/* The messages of a freshet.v1 client, read and carried out. */
#pragma once

#include "transport/freshet_v1_parts.h"

/* Reads one message and does what it says. */
void protocol_message(struct protocol *protocol, enum ws_opcode opcode, struct str data);

/* Reports that the fate of a publish is unknown. */
void protocol_lost(struct protocol *protocol, struct socket_publish *publish);
