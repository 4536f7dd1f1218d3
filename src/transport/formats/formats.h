/* The table of formats, and the encodings made of them: a format as a connection has asked for it.
 *
 * Each format is a file of this folder and a row of FORMATS. The hub encodes an event once for each
 * encoding that its subscribers have, and knows an encoding by its number alone.
 *
 * The framing by chunks is part of an encoding, though it belongs to HTTP/1.1: so a thousand
 * subscribers get the same bytes, and none of them is copied for one connection. */
#pragma once

#include "transport/formats/format.h"

/* The streams stand in front, so that the words of `stream=` follow from the table. */
#define STREAM_FORMATS(X) X(SSE, sse) X(NDJSON, ndjson) X(RAW, raw)
#define FORMATS(X) STREAM_FORMATS(X) X(PAGE, page) X(WEBSOCKET, websocket) X(FRESHET_V1, freshet_v1)

enum format_id {
#define FORMAT_ID(id, row) FORMAT_##id,
    FORMATS(FORMAT_ID)
#undef FORMAT_ID
        FORMATS_COUNT,
};

#define FORMAT_ROW(id, row) extern const struct format format_##row;
FORMATS(FORMAT_ROW)
#undef FORMAT_ROW

/* The names of the streams, in the order of the table, each with a blank behind it. */
#define STREAM_NAME(id, row) #row " "
#define STREAM_NAMES STREAM_FORMATS(STREAM_NAME)

const struct format *format_of(enum format_id id);

/* The number of an encoding. `data`: only the data instead of the envelope, where the format has
 * both. `chunked`: every record is an HTTP chunk by itself. `window_bits`: of permessage-deflate; 0
 * without compression. */
unsigned encoding_of(enum format_id id, bool data, bool chunked, unsigned window_bits);

enum format_id encoding_format(unsigned encoding);

/* Whether a gap can be told among the events. Otherwise the consumer must be refused, or its
 * connection ended. */
bool encoding_tells_gaps(unsigned encoding);

/* hub_encode: adds an event. `context` is the thread's struct ws_deflater. */
void encode_event(void *context, unsigned encoding, struct buf *out, const struct event *event);

/* Add the server's own records, if the format has them. `deflater` may be NULL. */
void encode_beat(struct ws_deflater *deflater, unsigned encoding, struct buf *out, uint64_t cursor);
void encode_first(unsigned encoding, struct buf *out, uint64_t cursor, uint64_t retry_ms);
void encode_gap(struct ws_deflater *deflater, unsigned encoding, struct buf *out,
                const struct gap *gap);
void encode_bye(struct ws_deflater *deflater, unsigned encoding, struct buf *out, uint64_t cursor,
                uint64_t retry_ms);
