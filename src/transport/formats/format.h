/* A format: the writers of events, and of the server's own records, for consumers of one kind. */
#pragma once

#include "subscribe/gap.h"
#include "ws/deflate.h"

/* The mechanism that carries a format to its consumers. Webhooks have formats of their own. */
enum mechanism {
    MECHANISM_STREAM, /* a response that goes on */
    MECHANISM_POLL,   /* a page for each request */
    MECHANISM_WEBSOCKET,
};

/* The place where a record is written. */
struct format_out {
    struct buf *bytes;
    struct ws_deflater *deflater; /* of the thread, for WebSockets with compression; may be NULL */
    unsigned window_bits;         /* of permessage-deflate; 0 without compression */
};

/* A row of the table of formats. A writer that is NULL stands for a record that the format does not
 * have; nothing is written then. Writers add whole records, without the framing of HTTP. */
struct format {
    struct str name;         /* of a stream: the value of `stream=` */
    struct str counted_as;   /* the label of its subscribers in the metrics */
    struct str content_type; /* of the response; none over a WebSocket */
    enum mechanism mechanism;
    bool is_offered;      /* a stream that the Accept header can ask for */
    bool data_of_channel; /* a client that reads a single channel gets only the data by default */
    bool data_tells_all;  /* a consumer of data alone still gets beats and gaps beside the data */
    bool is_sniffed;      /* browsers guess at the content, so they must be told not to */
    struct str separator; /* of a format whose events are a list: stands behind each event */

    void (*event)(struct format_out *out, const struct event *event);
    void (*data)(struct format_out *out, const struct event *event); /* the data alone */
    void (*beat)(struct format_out *out, uint64_t cursor);
    /* The first record of a stream; NULL: a beat. `retry_ms`: the pause before a client that lost
     * its connection comes back. */
    void (*first)(struct format_out *out, uint64_t cursor, uint64_t retry_ms);
    void (*gap)(struct format_out *out, const struct gap *gap);
    /* The last record, if the server ends the stream; the client comes back after `retry_ms`. */
    void (*bye)(struct format_out *out, uint64_t cursor, uint64_t retry_ms);
};
