/* HTTP streaming: an answer that goes on, as server-sent events, NDJSON or raw. */
#pragma once

#include "transport/reading.h"

/* Answers the exchange with a stream. Takes the reading over. */
void stream_begin(struct exchange *exchange, struct reading *reading);
