/* Understands what the server says in JSON: envelopes, control records, pages, receipts, problems.
 * All results borrow from the text. */
#pragma once

#include "base/buf.h"

enum record_kind {
    RECORD_EVENT,
    RECORD_CURSOR, /* nothing but a position: beat, ok, live */
    RECORD_GAP,
    RECORD_BYE,
    RECORD_ERROR, /* of freshet.v1: `problem` says which */
    RECORD_OTHER,
    RECORD_BROKEN, /* no JSON object, or too deep */
};

enum { RECORD_CURSOR_MAX = 16 }; /* digits */

struct record {
    enum record_kind kind;
    struct str cursor;   /* digits; empty when there is none (an ephemeral event has none) */
    struct str envelope; /* of an event, raw */
    struct str type;     /* of an event */
    struct str problem;  /* raw */
    struct str raw;      /* the whole */
    uint64_t retry_ms;   /* of a bye */
};

/* A line of NDJSON, a text message of freshet.v1, or an envelope. */
struct record record_read(struct str text);

/* Whether this is a cursor: 1 to 16 digits. */
bool record_is_cursor(struct str text);

struct record_page {
    struct str events; /* raw array: for record_next_event */
    struct str cursor;
    struct str
        told; /* belongs to the cursor: up to where gaps were told; empty if it is not said */
};

/* 0, or -EINVAL when the body is no page. */
int record_read_page(struct str body, struct record_page *ret);

/* Where a page goes on after a gap, as the problem document says in `next`; -EINVAL if it says
 * none: then nothing is left but to begin at the beginning. */
int record_read_gap(struct str body, struct str *ret_cursor, struct str *ret_told);

/* Walks a page's envelopes: `*pos` begins as 0; false at the end. */
bool record_next_event(const struct record_page *page, size_t *pos, struct record *ret);

/* Adds an event's data alone: text as text, binary as its bytes, JSON as it is. 0, -EINVAL when it
 * has none or it cannot be decoded, or -ENOMEM. */
int record_data(struct str envelope, struct buf *out);

/* Adds the id of a receipt, `{"id":…}`; -EINVAL when there is none (202). */
int record_receipt_id(struct str body, struct buf *out);

/* Adds what a problem document says to a person: the detail, else the title, on one line and
 * without control characters, since it goes to a terminal. Nothing if it is no such document. */
void record_add_problem(struct str body, struct buf *out);

/* Adds `$NAME {…}`, with the members of a control record that are told to a person. */
void record_add_control(struct buf *out, const char *name, struct str object);
