/* Attempts as the delivery log and the counters have them. */
#pragma once

#include "webhooks/delivery/attempt.h"

/* Counts the attempt in the courier's counters. */
void logged_count(struct courier *courier, const struct call *call, uint32_t events);

/* Writes the attempt into the delivery log, as one after which its delivery is in `state`. The
 * first attempt gives the delivery its number. */
void logged_add(struct lane *lane, const struct outcome *outcome, enum delivery_state state);

/* The channel that the delivery log shows: that of the first event. */
struct str logged_channel(const struct lane *lane, const struct outcome *outcome);
