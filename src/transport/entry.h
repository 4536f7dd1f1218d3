/* How many connections there may be: whether a new one is let in, and that one has ended. */
#pragma once

#include "transport/worker_state.h"

enum entry {
    LET_IN,
    LET_ASK, /* over connections_max: its first request is answered so, and is the last */
    TURN_AWAY,
};

/* Decides for a connection that was accepted. Unless it is turned away, entry_end() follows
 * once. */
enum entry entry_begin(struct worker *worker);

/* Counts a connection that goes on in another structure, until the old one has ended. */
void entry_again(struct worker *worker, bool asked);

/* The connection has ended; `asked` if it was let in to be refused. */
void entry_end(struct worker *worker, bool asked);
