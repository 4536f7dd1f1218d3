/* After a start: what presence.db and the log say of those who were there before. */
#pragma once

#include "presence/state.h"

/* Loads the marks, and gives everybody who was there a grace. 0 or a negative errno. The log is
 * open, and nobody has appended to it yet. */
int restore(struct presence *presence, struct presence_store *store);
