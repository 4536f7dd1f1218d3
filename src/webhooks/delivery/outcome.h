/* The consequences of an attempt for its lane: the next event, another attempt, a dead letter. */
#pragma once

#include "webhooks/delivery/attempt.h"

/* An attempt has ended: logs it, and steps its lane on, or frees the lane if it is over. The lane
 * is idle or leaving. */
void outcome_step_or_free(struct lane *lane, const struct outcome *outcome);

/* Settles a gap without telling it. The lane is idle; it steps on or is freed. */
void outcome_skip_gap_or_free(struct lane *lane);

/* Settles the events at the front of an idle lane that came round too often: they are noted and not
 * sent. The lane steps on or is freed. */
void outcome_skip_loop_or_free(struct lane *lane);
