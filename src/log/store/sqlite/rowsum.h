/* The checksum that a file keeps of each event, so that bytes which the disk has changed are not
 * served. */
#pragma once

#include "log/event.h"

/* Returns the checksum of all that a reader gets of the event, with its channel's name, which the
 * file keeps apart from the row. */
uint32_t rowsum(const struct event *event);
