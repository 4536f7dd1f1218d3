/* Reads and carries out the messages of a freshet.v1 client. */
#pragma once

#include "transport/freshet_v1_parts.h"

/* Reads a message and carries it out. */
void freshet_v1_message(struct freshet_v1 *v1, enum ws_opcode opcode, struct str data);

/* Reports that the fate of a publish is unknown. */
void freshet_v1_lost(struct freshet_v1 *v1, struct websocket_publish *publish);
