/* A reader of the server's JSON: envelopes, control records, pages, receipts, problems. All results
 * borrow from the text. */
#pragma once

#include "base/buf.h"

enum record_kind {
    RECORD_EVENT,
    RECORD_CURSOR, /* only a position: beat, ok, live */
    RECORD_GAP,
    RECORD_BYE,
    RECORD_ERROR, /* from freshet.v1; `problem` describes it */
    RECORD_OTHER,
    RECORD_BROKEN, /* not a JSON object, or nested too deep */
};

enum { RECORD_CURSOR_MAX = 16 }; /* digits */

struct record {
    enum record_kind kind;
    struct str cursor;   /* digits; empty if there is none, as for an ephemeral event */
    struct str envelope; /* the event, raw */
    struct str type;     /* the type of the event */
    struct str problem;  /* raw */
    struct str raw;      /* the whole record */
    uint64_t retry_ms;   /* of a bye record */
};

/* Reads a line of NDJSON, a text message of freshet.v1, or an envelope. */
struct record record_read(struct str text);

/* Whether this is a cursor: 1 to 16 digits. */
bool record_is_cursor(struct str text);

struct record_page {
    struct str events; /* raw array, for record_next_event() */
    struct str cursor;
    struct str told; /* belongs to the cursor: gaps were reported up to this id; empty if the page
                      * does not say */
};

/* Returns 0, or -EINVAL if the body is no page. */
int record_read_page(struct str body, struct record_page *ret);

/* Reads where a page continues after a gap, from `next` in the problem document. Returns -EINVAL
 * without it: the client can then only begin at the beginning. */
int record_read_gap(struct str body, struct str *ret_cursor, struct str *ret_told);

/* Walks the envelopes of a page: `*pos` begins as 0; returns false at the end. */
bool record_next_event(const struct record_page *page, size_t *pos, struct record *ret);

/* Adds only the data of an event: text as text, binary as its bytes, JSON unchanged. Returns 0,
 * -ENOMEM, or -EINVAL if there is no data or it cannot be decoded. */
int record_data(struct str envelope, struct buf *out);

/* Adds the id of a receipt, `{"id":…}`. Returns -EINVAL if there is none (202). */
int record_receipt_id(struct str body, struct buf *out);

/* Adds the message of a problem document: the detail, else the title, on one line and without
 * control characters, since it is shown on a terminal. Adds nothing if the body is no such
 * document. */
void record_add_problem(struct str body, struct buf *out);

/* Adds `$NAME {…}` with the members of a control record that matter to a user. */
void record_add_control(struct buf *out, const char *name, struct str object);
