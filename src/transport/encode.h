/* The formats in which events are written, each of which is a number, and one function that writes
 * them all. */
#pragma once

#include "base/json_writer.h"
#include "log/event.h"
#include "ws/deflate.h"

enum encode_kind {
    ENCODE_SSE,
    ENCODE_NDJSON,
    ENCODE_RAW,
    ENCODE_PAGE,     /* elements of a JSON array, each with a comma behind it */
    ENCODE_SOCKET,   /* WebSocket frames on a channel's socket */
    ENCODE_PROTOCOL, /* WebSocket frames of freshet.v1 */
};

/* The number of a format. `data`: only the data instead of the envelope. `chunked`: every event is
 * an HTTP chunk by itself, so that all subscribers get the same bytes. `window_bits`: of
 * permessage-deflate; 0: none. */
unsigned encode_way(enum encode_kind kind, bool data, bool chunked, unsigned window_bits);

/* hub_encode: `context` is the thread's struct ws_deflater. */
void encode_event(void *context, unsigned way, struct buf *out, const struct event *event);

/* Write control records in the given format. `reason` is plain ASCII. */
void encode_beat(void *context, unsigned way, struct buf *out, uint64_t cursor);
/* The first record of a stream: a beat, with SSE's retry. */
void encode_first(unsigned way, struct buf *out, uint64_t cursor, uint64_t retry_ms);
void encode_gap(void *context, unsigned way, struct buf *out, uint64_t cursor, uint64_t after,
                uint64_t earliest, const char *reason);
void encode_bye(void *context, unsigned way, struct buf *out, uint64_t cursor, uint64_t retry_ms);

/* The members after, earliest and reason of an object. */
void encode_gap_members(struct json_writer *writer, uint64_t after, uint64_t earliest,
                        const char *reason);
