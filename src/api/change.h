/* Requests that change keys and revocations: the thread of access/changes.h saves them, and its
 * mail is answered. */
#pragma once

#include "access/changes.h"
#include "transport/exchange.h"

struct change_request {
    struct change change;
    struct exchange *exchange;
    struct buf answer; /* the body of a 201; without one the answer is 204. May hold a secret */
    struct str what;   /* the thing that is changed, for people: "key". Static memory */
};

/* NULL, and the exchange was answered, if there is no memory. */
struct change_request *change_request_new(struct exchange *exchange, enum change_op op,
                                          struct str what);
/* Frees a request that was not submitted. */
void change_request_free(struct change_request *request);

/* Sets the id of what is to be removed. False, and the exchange was answered, if nothing can have
 * such an id; the request was freed. */
bool change_request_set_id(struct change_request *request, struct str id);

/* Hands the request over; the exchange is answered later. */
void change_request_submit(struct change_request *request);
