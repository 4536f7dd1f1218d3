/* One HTTP request at a time over a connection that is kept, by libcurl; ends on a signal. */
#pragma once

#include "client/interrupt.h"

#include "base/buf.h"

enum transfer_result {
    TRANSFER_E_CONNECT = 1, /* nothing was sent */
    TRANSFER_E_BROKEN,      /* the connection broke, or the answer was no HTTP: fate unknown */
    TRANSFER_E_QUIET,       /* no bytes for quiet_ms */
    TRANSFER_STOPPED,       /* by a signal, by `take`, or because `watched` hung up */
};

struct transfer_request {
    const char *url;
    bool post;
    const char *method;       /* another than GET or POST; NULL for those */
    struct str body;          /* of a POST */
    const char *content_type; /* of a POST */
    const char *token;        /* NULL: none */
    int64_t quiet_ms;
    int64_t grace_ms; /* to finish in once a signal came */
    int watched_fd;   /* the transfer ends when this one's reader has gone; -1: none */
    /* Takes the body of a 200 as it comes; true ends the transfer. NULL: gathered in the answer. */
    bool (*take)(void *owner, struct str bytes);
    void *owner;
};

struct transfer_answer {
    long status;
    uint64_t retry_after_ms;
    struct buf body;   /* what `take` did not get, up to body_max */
    const char *error; /* a sentence about a TRANSFER_E_… ; stands until the next request */
};

struct transfer;

/* `direct`: past any proxy that the environment names. NULL when there is no memory. `interrupt` is
 * borrowed. At most body_max bytes of an answer are gathered; a longer one is TRANSFER_E_BROKEN. */
struct transfer *transfer_new(const struct interrupt *interrupt, bool direct, size_t body_max);
void transfer_free(struct transfer *transfer);

/* 0 when an answer came whole, whatever its status, or an enum transfer_result. The answer's body
 * is reused: begin with all zeroes, free it with transfer_answer_deinit(). */
int transfer_run(struct transfer *transfer, const struct transfer_request *request,
                 struct transfer_answer *answer);

void transfer_answer_deinit(struct transfer_answer *answer);

/* What to tell a person about an answer that is an error: `STATUS: detail`. */
void transfer_explain(const struct transfer_answer *answer, struct buf *out);

/* Whether the same request may do better later: 408, 425, 429 and 5xx but 501, 505 and 507. */
bool transfer_status_is_passing(long status);
