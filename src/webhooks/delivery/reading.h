/* Readings: a lane reads from the log what its queue lacks. */
#pragma once

#include "webhooks/endpoint/lane.h"

/* Starts reading for a lane that is due. The lane steps on, or is freed, when that has ended. */
void reading_start(struct lane *lane);

/* Breaks the lane's reading off, if there is one. */
void reading_stop(struct lane *lane);
