/* The checksum that a file keeps of each event, so that bytes which the disk has changed are not
 * served. */
#pragma once

#include "log/event.h"

/* Returns the checksum of everything that a reader gets of the event, including its channel's name,
 * which is not stored in the row. */
uint32_t rowsum(const struct event *event);
