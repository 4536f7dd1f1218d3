/* The work on an append that all engines share: has its publishes decided in log order, takes the
 * decisions back if it could not be made safe, and notes whether the store can be written. All
 * under the log's lock but where said. */
#pragma once

#include "log/log_internal.h"

/* Reads the clocks, and goes on to that time in the log. */
void decide_tick(struct log *log);

/* Makes the channels of a large append in slices, between which the lock is given away, so that the
 * verdicts find them. Before decide_append(). */
void decide_prepare(struct log *log, struct append *append);

/* Decides the publishes of an append. */
void decide_append(struct log *log, struct append *append);

/* Drops, in slices, channels that were prepared and that no verdict has claimed. */
void decide_drop_slices(struct log *log);

/* The same for every append: most have prepared nothing. */
static inline void decide_drop_unclaimed(struct log *log)
{
    if (log->apply.unclaimed.count)
        decide_drop_slices(log);
}

/* Whether the append has something that a store must keep. Any thread. */
bool decide_has_work(const struct append *append);

/* Takes back what was decided, refusals too, after the store has answered with `error`: they were
 * decided on what is taken back (the newest event of a channel, a key), and as long as the fate of
 * an earlier attempt is unknown no refusal of the same is final. */
void decide_undo(struct log *log, struct append *append, int error);

/* Counts a commit with its result, and tells the server's log if the store has failed or recovered.
 * Any thread. */
void decide_note_commit(struct log *log, int result);
