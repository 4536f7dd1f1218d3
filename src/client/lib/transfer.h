/* HTTP requests, one at a time, over a connection that is kept, by libcurl; an interrupt ends them.
 */
#pragma once

#include "client/lib/interrupt.h"
#include "client/lib/trust.h"

#include "base/buf.h"

enum transfer_result {
    TRANSFER_E_CONNECT = 1, /* nothing was sent */
    TRANSFER_E_TRUST,  /* the server's certificate is not good, or a file of ours: nothing was sent
                        */
    TRANSFER_E_BROKEN, /* the connection broke, or the answer was not HTTP: fate unknown */
    TRANSFER_E_QUIET,  /* no bytes for quiet_ms */
    TRANSFER_STOPPED,  /* by the interrupt, by `take`, or because `watched` hung up */
};

/* All is borrowed until transfer_run() returns. */
struct transfer_request {
    const char *url; /* of scheme http or https */
    bool post;
    const char *method;       /* a method other than GET or POST; NULL for those */
    struct str body;          /* for POST */
    const char *content_type; /* for POST */
    const char *token;        /* NULL: none */
    int64_t quiet_ms;
    int64_t grace_ms; /* time to finish after the interrupt */
    int watched_fd;   /* the transfer ends when the reader of this descriptor has gone; -1: none */
    /* Gets the body of a 200 as it comes; true ends the transfer. NULL: the body is gathered in the
     * answer. */
    bool (*take)(void *owner, struct str bytes);
    void *owner;
};

struct transfer_answer {
    long status;
    uint64_t retry_after_ms;
    struct buf body;    /* the body if `take` did not get it, up to body_max */
    const char *error;  /* a sentence about a TRANSFER_E_…; valid until the next request */
    const char *advice; /* behind it or behind a refusal: see advice.h; empty if there is none */
};

struct transfer;

/* A connection for one thread at a time, to be freed by transfer_free(); NULL if there is no
 * memory. `direct`: ignore proxies from the environment. `interrupt` is borrowed as long as it
 * lives; `trust` is for https. At most body_max bytes of an answer are gathered; a longer answer is
 * TRANSFER_E_BROKEN. */
struct transfer *transfer_new(const struct interrupt *interrupt, bool direct,
                              const struct trust *trust, size_t body_max);
/* NULL is allowed. */
void transfer_free(struct transfer *transfer);

/* Sends the request and waits for the answer. Returns 0 if a whole answer came, whatever its
 * status, or an enum transfer_result. The answer's body is reused: begin with zeroes, and free it
 * with transfer_answer_deinit(). */
int transfer_run(struct transfer *transfer, const struct transfer_request *request,
                 struct transfer_answer *answer);

void transfer_answer_deinit(struct transfer_answer *answer);

/* Adds the explanation of an error answer for the user: `STATUS: detail`, of the problem document
 * if the body is one. */
void transfer_explain(const struct transfer_answer *answer, struct buf *out);

/* Whether the same request may succeed later: 408, 425, 429, and 5xx except 501, 505 and 507. */
bool transfer_status_is_passing(long status);
