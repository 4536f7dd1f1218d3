/* Idempotency keys as the log keeps them: hashes, so that their length does not matter. */
#pragma once

#include "log/event.h"

/* Sets event->key: one hash over subject, channel and key, another over what is published, unless
 * the key `stands` for the event whatever its content. Channel, type, content type and data of the
 * event must be set; the batch is the event's own. 0 or -ENOMEM. */
int event_key_set(struct batch *batch, struct event *event, struct str subject, struct str key,
                  bool stands);
