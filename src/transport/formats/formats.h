/* The table of formats, and encodings: a format with the options that a connection asked for.
 *
 * Each format is a file of this folder and a row of FORMATS. The hub encodes an event once for each
 * encoding in use, and knows an encoding by its number alone. HTTP/1.1's chunks are part of an
 * encoding, so that a thousand subscribers get the same bytes, and none are copied for a single
 * connection. */
#pragma once

#include "transport/formats/format.h"

/* Streams come first, so that the values of `stream=` follow from the table. */
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

/* The names of the streams, in the order of the table, each followed by a blank. */
#define STREAM_NAME(id, row) #row " "
#define STREAM_NAMES STREAM_FORMATS(STREAM_NAME)

const struct format *format_of(enum format_id id);

/* The number of an encoding. `data`: the data without the envelope, if the format has both.
 * `chunked`: each record is an HTTP chunk. `window_bits`: of permessage-deflate; 0 without
 * compression. */
unsigned encoding_of(enum format_id id, bool data, bool chunked, unsigned window_bits);

enum format_id encoding_format(unsigned encoding);

/* Whether the encoding can report a gap among the events. If not, refuse the consumer or end its
 * connection. */
bool encoding_tells_gaps(unsigned encoding);

/* hub_encode: adds an event. `context` is the thread's struct deflater. */
void encode_event(void *context, unsigned encoding, struct buf *out, const struct event *event);

/* Add the server's own records, if the format has them. `deflater` may be NULL. */
void encode_beat(struct deflater *deflater, unsigned encoding, struct buf *out, uint64_t cursor);
void encode_first(unsigned encoding, struct buf *out, const struct first_record *first);
void encode_gap(struct deflater *deflater, unsigned encoding, struct buf *out,
                const struct gap *gap);
void encode_bye(struct deflater *deflater, unsigned encoding, struct buf *out,
                const struct goodbye *goodbye);
