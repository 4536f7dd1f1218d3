/* What a stream sends, cut into records: lines of NDJSON, and events of SSE. */
#pragma once

#include "base/buf.h"

/* Bytes that are not a whole line yet. All zeroes is the start. */
struct lines {
    struct buf partial;
};

/* Calls `each` for every line that `bytes` completes, without its line end. */
void lines_feed(struct lines *lines, struct str bytes, void (*each)(void *context, struct str line),
                void *context);

/* A record of server-sent events, as far as its lines have come. All zeroes is the start. */
struct sse_record {
    struct buf event;
    struct buf id;
    struct buf data;
    bool has_data;
};

/* Takes a line; true when it was empty and so ended a record that holds something. The caller uses
 * it and then calls sse_record_clear(). */
bool sse_record_line(struct sse_record *record, struct str line);
void sse_record_clear(struct sse_record *record);

/* The raw value of a member of a JSON object on one line; `at == NULL` without one. */
struct str json_member(struct str object, struct str name);

/* The same, when it is a string without escapes, without its quotes. */
struct str json_plain(struct str object, struct str name);
