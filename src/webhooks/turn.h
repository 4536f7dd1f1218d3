/* A turn of the courier, on its thread: courier.c turns until it is stopped, tests turn it
 * themselves.
 *
 * The loop opens mail (batches, requests) and tells curl of its sockets. Attempts that have ended
 * move their lanes on. Endpoints that may have something to do scan the log and start attempts.
 * What has changed goes to the saver, in bundles. */
#pragma once

#include "webhooks/endpoint/shared.h"

/* Runs a turn, waiting at most `most_ms` for work; -1: without limit. */
void courier_turn(struct courier *courier, int most_ms);

/* Stops: nothing new begins, and requests in flight have 2 s to end. */
void courier_begin_stop(struct courier *courier);

/* Whether the courier was stopped, and nothing is left to wait for. */
bool courier_is_done(const struct courier *courier);

/* After the last turn: saves progress, answers every request, and frees what belongs to the thread.
 */
void courier_end(struct courier *courier);
