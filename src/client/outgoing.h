/* Makes the body of a batch, NDJSON for POST /events, out of lines. */
#pragma once

#include "base/buf.h"

enum outgoing_kind { OUTGOING_TEXT, OUTGOING_JSON, OUTGOING_BINARY };

/* What the lines have in common; borrowed. */
struct outgoing_settings {
    struct str channel;
    struct str type;         /* empty: the server's default */
    struct str content_type; /* of binary data */
    struct str key_prefix;   /* each line's key is this, '-', and the line's number */
    enum outgoing_kind kind;
    size_t count_max;
    size_t bytes_max; /* of the body, beyond which no further line is taken */
};

/* All zeroes but the settings is the start. */
struct outgoing {
    const struct outgoing_settings *settings;
    struct buf body;
    size_t count;    /* lines in it */
    uint64_t number; /* lines ever added */
};

/* Which kind of data a media type stands for, as the server would take it. */
enum outgoing_kind outgoing_kind_of(struct str content_type);

/* Adds a line. Text that is not UTF-8 goes as binary. 0, -EINVAL when it is to be JSON and is not
 * (nothing was added), or -ENOMEM. */
int outgoing_add(struct outgoing *outgoing, struct str line);

bool outgoing_is_full(const struct outgoing *outgoing);

/* Begins the next batch; numbers go on. */
void outgoing_clear(struct outgoing *outgoing);

void outgoing_deinit(struct outgoing *outgoing);
