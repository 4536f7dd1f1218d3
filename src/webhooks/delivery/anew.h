/* A webhook begins anew when its owner changes which events it is owed (`channels`, `types`) or in
 * which lanes they go (`ordered`, `batch`).
 *
 * Lanes mean something only together with the options that they were made under: a range of a
 * webhook without order says nothing of channels, and a page in order says nothing of one channel.
 * So no lane outlives such a change. The cursor goes back to the first event that is not settled,
 * the lanes are dropped, in memory and on disk, in the transaction that keeps the options, and the
 * scan makes new ones.
 *
 * A lane with a request under way cannot be dropped like that: the receiver is at work on what it
 * carries, and if the scan went on beside it, two requests would be under way in one channel. Such
 * a lane *leaves*: it has no row and takes no events, it ends with its request, whatever the answer
 * is, and the scan waits until all of them have ended. That takes as long as a request may take.
 *
 * What these requests delivered is remembered by its ids, so that the scan passes it by and it does
 * not come twice (see endpoint/carried.h). An ordered webhook gets it again all the same: the
 * cursor has gone back for all channels, so that older events of the same channel may come first,
 * and the newest would not be the last. Without the ids events come again, as the owner is told. */
#pragma once

#include "webhooks/endpoint/endpoint.h"

/* Starts an endpoint, after a start of the server or as a new one: failed lanes wait for their
 * retry, the others continue at once. Drops lanes from disk that do not fit its options. */
void deliveries_begin(struct endpoint *endpoint);

/* Drops all lanes, and moves the scan back to the first event that is not settled. The scan waits
 * for attempts under way. `again`: their events are delivered again. */
void deliveries_begin_anew(struct endpoint *endpoint, bool again);

/* Drops every lane, attempts included, and unsubscribes from the hub. */
void deliveries_drop(struct endpoint *endpoint);

/* The same, but the lanes' rows stay on disk: for an endpoint that is removed. */
void deliveries_end(struct endpoint *endpoint);
