/* A turn of the host: the thread runs them one after the other, and tests by hand. */
#pragma once

#include "presence/presence.h"

/* A turn of the host: opens mail, rings timers, tells and saves. */
void presence_turn(struct presence *presence, int wait_ms);
