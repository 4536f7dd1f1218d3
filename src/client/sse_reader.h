/* Reads server-sent events: bytes in, records out (HTML Living Standard, section 9.2.6). */
#pragma once

#include "base/buf.h"

/* One record: what stands between two empty lines. Unlike EventSource this also reports records
 * without data, since their id is a cursor all the same. Stands until the next feed. */
struct sse_record {
    struct str id;     /* `at == NULL` when the record had none (or one with a NUL) */
    struct str event;  /* empty: message */
    struct str data;   /* its lines joined by LF */
    uint64_t retry_ms; /* 0: none */
};

/* All zeroes but the limit is the start. */
struct sse_reader {
    size_t record_max; /* bytes of a line, and of a record's data */
    struct buf line;
    struct buf id;
    struct buf event;
    struct buf data;
    uint64_t retry_ms;
    bool has_id;
    bool has_data;
    bool has_field;
    bool after_cr;   /* an LF that comes next belongs to a CR before it */
    bool begun;      /* the first line is behind us: a byte order mark means nothing any more */
    bool handed_out; /* the fields are those of the last call's record */
};

enum sse_result { SSE_MORE = 0, SSE_RECORD = 1 };

/* Takes from the front of `*bytes`: SSE_RECORD with a record, SSE_MORE when all was taken,
 * -EMSGSIZE, -ENOMEM (both final). */
int sse_reader_feed(struct sse_reader *reader, struct str *bytes, struct sse_record *ret);

void sse_reader_deinit(struct sse_reader *reader);
