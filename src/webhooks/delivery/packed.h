/* Events as bytes that can be read back without parsing: what the courier's hub writes into chunks,
 * and what is kept of a dead letter. */
#pragma once

#include "base/buf.h"
#include "log/event.h"

/* Adds the event. */
void packed_add(struct buf *out, const struct event *event);

/* Reads one back from the front of `bytes`; its strings point into them. Answers how many bytes it
 * took, 0 when they are none. */
size_t packed_read(struct str bytes, struct event *ret_event);
