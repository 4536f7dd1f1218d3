/* Events that the log did not take: those who follow them are told to read anew.
 *
 * The log refuses an event when its disk is full, or when it has no channel left for it. A list
 * that is kept by events is wrong from then on, in silence. So the room of a lost event owes its
 * followers a `reset` on $presence/{channel}, after which they ask for the list again; for a lost
 * event of $occupied/{channel} the state is told once more. Both are tried again, each time after
 * twice as long, until the log takes them. Debts are saved with the changes that nobody has heard
 * of, so a restart pays them. */
#pragma once

#include "presence/state.h"

/* Opens a bundle that comes back (bundle.h). */
void losses_returned(struct mail *mail, void *owner);

/* An event of that channel behind PRESENCE_CHANNELS or OCCUPIED_CHANNELS is lost. */
void losses_note(struct presence *presence, struct str prefix, struct str channel);

/* A debt of before the restart (OWES_…), which is told at once. */
void losses_restore(struct presence *presence, struct str channel, unsigned owes);
