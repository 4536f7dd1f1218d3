/* The messages of a freshet.v1 client, read and carried out. */
#pragma once

#include "transport/freshet_v1_parts.h"

/* Reads one message and does what it says. */
void freshet_v1_message(struct freshet_v1 *v1, enum ws_opcode opcode, struct str data);

/* Reports that the fate of a publish is unknown. */
void freshet_v1_lost(struct freshet_v1 *v1, struct websocket_publish *publish);
