/* A reader of request heads that remembers: a client sends the same header lines with each of its
 * publishes, but for some values.
 *
 * Lines that equal remembered ones byte by byte are not parsed again. Only values that may be
 * secrets (Authorization), or that change from request to request (Content-Length,
 * Idempotency-Key), are read anew each time: they are not remembered, and so never compared in a
 * way that tells how much of them agrees. Names and remembered values decide all that a head means
 * beyond its request line and its length, so the memo cannot read a head in another way than
 * http_head_parse(), which it calls for all other heads. */
#pragma once

#include "http/head.h"

enum { HTTP_MEMO_HEADS = 4, HTTP_MEMO_BYTES = 1024, HTTP_MEMO_VALUES = 8 };

/* A head whose lines are remembered. */
struct http_remembered {
    struct http_head head; /* points into `lines`, and into the bytes of the last such request */
    struct str host;       /* of the Host line */
    struct http_authority authority;
    uint32_t len; /* of the lines, with the empty line; 0: nothing is remembered */
    uint32_t values_count;
    struct {
        uint32_t at;    /* where the value is left out of the lines: behind its colon */
        uint32_t field; /* its index */
    } values[HTTP_MEMO_VALUES];
    char lines[HTTP_MEMO_BYTES];
};

/* The memo of a thread. Zeroes are a valid start. */
struct http_memo {
    struct http_remembered at[HTTP_MEMO_HEADS];
    unsigned last;         /* the one that was equal last */
    unsigned next;         /* to be replaced; the number of those that were remembered so far */
    unsigned unknown;      /* heads that could have been remembered since the memo is full */
    struct http_head head; /* of a request whose lines are not remembered */
};

/* Parses like http_head_parse(). `*ret_head` is the memo's, and all its text points into the bytes
 * or the memo: it is valid until the next call, and as long as the bytes are. */
int http_memo_parse(struct http_memo *memo, struct str bytes, const struct http_limits *limits,
                    struct http_scan *scan, const struct http_head **ret_head);
