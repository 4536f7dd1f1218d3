/* Records attempts in the delivery log and in the counters. */
#pragma once

#include "webhooks/delivery/attempt.h"

/* Counts the attempt in the courier's counters. */
void logged_count(struct courier *courier, const struct call *call, uint32_t events);

/* Writes the attempt into the delivery log; `state` is that of its delivery afterwards. The first
 * attempt gives the delivery its number. */
void logged_add(struct lane *lane, const struct outcome *outcome, enum delivery_state state);

/* The channel of a delivery in the log: that of its first event. */
struct str logged_channel(const struct lane *lane, const struct outcome *outcome);
