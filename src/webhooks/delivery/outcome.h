/* The consequences of an attempt for its lane: the next event, another attempt, a dead letter. */
#pragma once

#include "webhooks/delivery/attempt.h"

/* Handles the end of an attempt: logs it, and gives its lane the next step or frees it. The lane is
 * idle or leaving. */
void outcome_step_or_free(struct lane *lane, const struct outcome *outcome);

/* Counts a gap as delivered without sending it. The lane is idle; it gets its next step or is
 * freed. */
void outcome_skip_gap_or_free(struct lane *lane);

/* Skips the first events of an idle lane that have had too many hops: they are logged and not sent.
 * The lane gets its next step or is freed. */
void outcome_skip_loop_or_free(struct lane *lane);
