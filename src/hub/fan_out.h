/* The fan-out of safe batches: each event goes into the live chunks of the views that it matches,
 * and the live subscribers of these views are queued and woken.
 *
 * A turn has a budget, and the next turn continues where it was spent. The state is struct fan_out
 * (hub/hub.h). */
#pragma once

#include "hub/hub.h"

void fan_out_init(struct hub *hub);
/* Call fan_out_all() before: batches that are queued are not given back here. */
void fan_out_deinit(struct hub *hub);

/* Queues the batch, with a reference of its own, and fans out until the budget is spent. */
void fan_out_add(struct hub *hub, struct batch *batch);

/* Fans out what is queued until the budget is spent. */
void fan_out_go_on(struct hub *hub);

/* Fans out everything that is queued, whatever the budget. */
void fan_out_all(struct hub *hub);

/* Begins a turn: decides whether it has to end between two events, because somebody has waited for
 * that in too many turns. The caller begins the budget. */
void fan_out_begin_turn(struct hub *hub);

/* Releases the subscribers in hub->ahead that this thread has caught up with. Walks the list only
 * if a subscriber in it is due. */
void fan_out_release(struct hub *hub);
