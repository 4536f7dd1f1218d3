/* A reader of server-sent events: bytes in, records out (HTML Living Standard, section 9.2.6). */
#pragma once

#include "base/buf.h"

/* A record: the text between two empty lines. Records without data are included, unlike in
 * EventSource, because their id is a cursor too. Valid until the next feed. */
struct sse_record {
    struct str id;     /* `at == NULL` if the record has none, or one with a NUL */
    struct str event;  /* empty: message */
    struct str data;   /* the lines of its data, joined by LF */
    uint64_t retry_ms; /* 0 if the record has none */
};

/* Zeroes except for the limit are the start. For one thread at a time. */
struct sse_reader {
    size_t record_max; /* most bytes of a line, and of a record's data */
    struct buf line;
    struct buf id;
    struct buf event;
    struct buf data;
    uint64_t retry_ms;
    bool has_id;
    bool has_data;
    bool has_field;
    bool after_cr;   /* an LF that comes next belongs to the CR before it */
    bool begun;      /* the first line has begun: a byte order mark is no longer special */
    bool handed_out; /* the fields belong to the record of the last call */
};

enum sse_result { SSE_MORE = 0, SSE_RECORD = 1 };

/* Takes bytes from the front of `*bytes`. Returns SSE_RECORD with a record, SSE_MORE when all bytes
 * are taken, or -EMSGSIZE or -ENOMEM, which are final. */
int sse_reader_feed(struct sse_reader *reader, struct str *bytes, struct sse_record *ret);

/* Frees what the reader has gathered, and the last record with it. */
void sse_reader_deinit(struct sse_reader *reader);
