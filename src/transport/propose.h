/* What every way of publishing has in common: keys as the log keeps them, JSON on one line. */
#pragma once

#include "log/event.h"

/* Sets event->key from the key that the publisher gave: hashes over subject, channel and key, and
 * over what is published. Channel, type, content type and data must be set. 0 or -ENOMEM. */
int propose_key(struct batch *batch, struct event *event, struct str subject, struct str key);

/* Puts the event's JSON data, which must lie in the batch's arena, on one line. */
void propose_one_line(struct event *event);
