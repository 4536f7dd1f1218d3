/* Reads from the log the events that a lane lacks in its queue. */
#pragma once

#include "webhooks/endpoint/lane.h"

/* Begins a reading for a due lane. When it ends, the lane gets its next step or is freed. */
void reading_start(struct lane *lane);

/* Cancels the lane's reading, if there is one. */
void reading_stop(struct lane *lane);
