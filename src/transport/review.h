/* Holds everything that goes on against rules of access that have changed.
 *
 *     worker_switch() ──▶ review_begin() ──▶ review_some(), in slices ──▶ conn_ops.review
 *                                                 a pull, a poll ◀── review_pull(), ring
 *
 * Rules may take away what nobody in particular had, and a subscriber who is nobody is in no table
 * (live.h). So the connections themselves are walked, once for each change: a pull that may not go
 * on ends, or drops what it can drop alone, and a poll is answered early, so that its client asks
 * again under the new rules. Credentials are checked first, since a key may have changed as well. A
 * request that is being handled meanwhile is looked at when it begins to wait or to stream. All of
 * it belongs to the thread of the worker. */
#pragma once

#include "transport/request_stream.h"

/* Has all connections reviewed. */
void review_begin(struct worker *worker);

/* Reviews some. */
void review_some(struct worker *worker);

/* Whether some are left for the next turn. */
bool review_is_busy(const struct worker *worker);

/* For kinds of connections: ends the pull if it may not go on. It may be freed within the call. */
void review_pull(struct pull *pull);
