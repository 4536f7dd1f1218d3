/* Times that are counted from the wall clock follow it when it jumps. */
#pragma once

#include "webhooks/endpoint/shared.h"

/* A wall clock that has jumped for good takes all that was counted from it along, so that nothing
 * is sent sooner, given up earlier or ended before its time. Between turns, so that within one all
 * times are of one clock. */
void shift_schedules(struct courier *courier);
