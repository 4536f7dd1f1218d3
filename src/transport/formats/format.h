/* A format: functions that write events and the server's own records for one kind of consumer. */
#pragma once

#include "subscribe/gap.h"
#include "transport/ending.h"
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
    struct deflater *deflater; /* of the thread, for WebSockets with compression; may be NULL */
    unsigned window_bits;      /* of permessage-deflate; 0 without compression */
};

/* The first record of a stream. */
struct first_record {
    uint64_t cursor;
    uint64_t retry_ms;     /* how long a client waits before it reconnects */
    struct str connection; /* the name by which publishers can exclude the stream */
};

/* The last record of a stream that the server ends. */
struct goodbye {
    enum ending why;
    uint64_t cursor;
    uint64_t retry_ms; /* how long a client waits before it reconnects */
};

/* A row of the table of formats. A NULL writer means that the format has no such record, and
 * nothing is written. Writers add whole records, without HTTP's framing. */
struct format {
    struct str name;         /* of a stream: the value of `stream=` */
    struct str counted_as;   /* the label of its subscribers in the metrics */
    struct str content_type; /* of the response; none over a WebSocket */
    enum mechanism mechanism;
    bool is_offered;      /* a stream that an Accept header can choose */
    bool data_of_channel; /* the data alone is the default for a client that reads a single channel
                           */
    bool data_tells_all;  /* a consumer of the data alone still gets beats and gaps */
    bool is_sniffed;      /* tells browsers not to guess the type of the content */
    struct str separator; /* in a format whose events form a list: follows each event */

    void (*event)(struct format_out *out, const struct event *event);
    void (*data)(struct format_out *out, const struct event *event); /* the data alone */
    void (*beat)(struct format_out *out, uint64_t cursor);
    /* The first record of a stream; NULL: a beat. */
    void (*first)(struct format_out *out, const struct first_record *first);
    void (*gap)(struct format_out *out, const struct gap *gap);
    void (*bye)(struct format_out *out, const struct goodbye *goodbye);
};
