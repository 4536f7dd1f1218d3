/* Events as bytes that are read back without parsing: the format of the courier's hub, and of dead
 * letters. */
#pragma once

#include "base/buf.h"
#include "log/event.h"

/* Adds the event. */
void packed_add(struct buf *out, const struct event *event);

/* Reads an event from the front of `bytes`; its strings point into them. Returns its length, 0 if
 * the bytes are no event. */
size_t packed_read(struct str bytes, struct event *ret_event);
