/* How many connections there may be, in all and of an address: whether a new one is let in, and
 * that one has ended. */
#pragma once

#include "transport/worker_state.h"

/* The decision for a new connection. */
struct entry {
    enum entry_excess
        excess;       /* not EXCESS_NONE: its first request is answered so, and is the last */
    bool turned_away; /* refused unread */
    uint32_t place;   /* for conn->place */
};

/* Decides for a connection that was accepted as `fd`. Unless it is turned away, entry_end() follows
 * once, when the last structure that its socket has had is closed. */
struct entry entry_begin(struct worker *worker, int fd);

/* Counts a connection that a trusted proxy has made for the client whom it has named since; beyond
 * the limit of that address `*excess` is set. False: there are too many to hear this one, so close
 * it unread. entry_end() follows in any case. */
bool entry_name(struct worker *worker, const union client_address *client,
                enum entry_excess *excess, uint32_t *place);

/* The connection has ended, or could not be made. */
void entry_end(struct worker *worker, enum entry_excess excess, uint32_t place);

/* The problem and its detail for a connection that is refused. */
enum problem entry_problem(enum entry_excess excess, struct str *ret_detail);
