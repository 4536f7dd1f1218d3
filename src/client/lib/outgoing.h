/* A builder of batches: makes NDJSON bodies for POST /events out of lines. */
#pragma once

#include "base/buf.h"

enum outgoing_kind { OUTGOING_TEXT, OUTGOING_JSON, OUTGOING_BINARY };

/* The settings that all lines share; borrowed. */
struct outgoing_settings {
    struct str channel;
    struct str type;         /* empty: the server's default */
    struct str content_type; /* of binary data */
    struct str key_prefix;   /* each line's key is this prefix, '-', and the line's number */
    enum outgoing_kind kind;
    size_t count_max;
    size_t bytes_max; /* most bytes of the body; a line beyond them is not taken */
};

/* Zeroes except for the settings are the start. For one thread at a time. */
struct outgoing {
    const struct outgoing_settings *settings;
    struct buf body;
    size_t count;    /* lines in the body */
    uint64_t number; /* lines added since the start */
};

/* The kind of data that the server would take for a media type. */
enum outgoing_kind outgoing_kind_of(struct str content_type);

/* Adds a line. Text that is not UTF-8 is sent as binary. Returns 0, -ENOMEM, or -EINVAL with
 * nothing added if the line must be JSON and is not. */
int outgoing_add(struct outgoing *outgoing, struct str line);

bool outgoing_is_full(const struct outgoing *outgoing);

/* Begins the next batch; line numbers continue. */
void outgoing_clear(struct outgoing *outgoing);

/* Frees the body; the settings are the caller's. */
void outgoing_deinit(struct outgoing *outgoing);
