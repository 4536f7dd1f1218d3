/* Adjusts times that were derived from the wall clock after the clock has jumped. */
#pragma once

#include "webhooks/endpoint/shared.h"

/* Moves all times that were counted from the wall clock, after it has jumped for good, so that
 * nothing is sent sooner, given up earlier or ended before its time. Call between turns, so that
 * all times within a turn are of one clock. */
void shift_schedules(struct courier *courier);
