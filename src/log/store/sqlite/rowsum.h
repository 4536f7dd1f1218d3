/* The checksum that a file keeps of each event, so that bytes which the disk has changed are not
 * served. */
#pragma once

#include "log/event.h"

/* Of all that a reader is given of the event, and of its channel's name, which the file keeps apart
 * from the row. */
uint32_t rowsum(const struct event *event);
