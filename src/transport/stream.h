/* HTTP streaming: an answer that goes on, as server-sent events, NDJSON or raw. */
#pragma once

#include "transport/reading.h"

/* How much one takes in worker->stream_room. */
extern const size_t stream_size;

/* Answers the exchange with a stream. Takes the reading over. */
void stream_begin(struct exchange *exchange, struct reading *reading);
