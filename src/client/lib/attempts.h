/* Repeats a request until its fate is known: a publish, for example, with an idempotency key. */
#pragma once

#include "client/lib/transfer.h"

enum attempts_end {
    ATTEMPTS_TAKEN,   /* the server answered 2xx */
    ATTEMPTS_REFUSED, /* the last answer was another one */
    ATTEMPTS_FAILED, /* the last attempt got no answer: it may have been carried out all the same */
    ATTEMPTS_STOPPED, /* the interrupt came: nobody knows whether the request was carried out */
};

/* The caller sets the first members, and zeroes the others before the first request. All is
 * borrowed but `answer`, which the caller frees with transfer_answer_deinit(). For one thread at a
 * time. */
struct attempts {
    struct transfer *transfer;
    const struct interrupt *interrupt; /* of `transfer` */
    /* The delays between attempts, see retry_delay.h; and the time after which no further one is
     * made: for a server that has answered before, and for one that never has. In milliseconds. */
    uint64_t least_ms, most_ms, met_ms, unmet_ms;
    bool patient; /* also repeats a request whose first attempt could not connect */
    /* Called when an attempt has failed and another one follows; NULL for none. */
    void (*failed)(void *owner);
    void *owner;

    int result;                    /* of the last attempt: 0 or an enum transfer_result */
    struct transfer_answer answer; /* of the last attempt */
    bool met;                      /* the server was reached before */
};

/* Sends a request, which must be safe to repeat, until it is taken, refused for good, or out of
 * time. A Retry-After of the server up to `most_ms` is honoured. Blocks. */
enum attempts_end attempts_run(struct attempts *attempts, const struct transfer_request *request);
