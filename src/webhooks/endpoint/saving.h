/* Progress on its way to disk: what has changed of endpoints and lanes, and when it is saved.
 *
 * One bundle at a time is with the saver, and the next is filled meanwhile. Load determines the
 * bundles, not a timer: the faster the deliveries, the larger they are. What is not saved yet is
 * delivered again after a crash.
 *
 * A request that must find its progress on disk hands over a bundle while another is still with the
 * saver. If that other one fails, its lanes are missing on disk, and a cursor of the later bundle
 * would be beyond them: a crash would lose their events. So after a failure the saver refuses all
 * bundles but a *whole* one: one that was filled while the saver had none, and so has everything
 * that was not saved. Changes of endpoints are refused as long (requests/put.c). */
#pragma once

#include "webhooks/endpoint/lane.h"

/* Notes that progress must be saved soon. */
void endpoint_changed(struct endpoint *endpoint);
void lane_changed(struct lane *lane);
/* Notes that the lane is over: its row is deleted. */
void lane_forgotten(struct lane *lane);

/* Adds an attempt to the delivery log. Copies its arguments. */
void save_attempt(struct courier *courier, const struct logged_attempt *attempt);

/* Notes that a delivery will not be tried again. */
void save_skipped(struct courier *courier, uint64_t n);

/* Hands changed progress to the saver if it is time, or with `now`: jobs submitted afterwards find
 * it on disk. */
void save_progress(struct courier *courier, bool now);
/* Drops progress that could not be handed over. */
void discard_progress(struct courier *courier);
/* When the next bundle is due; 0: not at all. */
int64_t save_due_ns(const struct courier *courier);

/* Moves the saved cursors of endpoints that have received everything. */
void save_cursors(struct courier *courier);
