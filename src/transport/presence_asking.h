/* Requests to the host of presence, as far as HTTP and freshet.v1 have them in common: the checks
 * before one is made, the copies that it borrows, and the problem of its answer. */
#pragma once

#include "base/arena.h"
#include "presence/presence.h"
#include "publish/proposal.h"
#include "transport/worker_state.h"

/* A request with what it borrows. Embedded by the way in, which frees it by presence_asking_free()
 * once it was answered. */
struct presence_asking {
    struct presence_request request;
    struct arena arena;
    struct worker *worker; /* NULL until the host is asked */
    size_t held;           /* bytes that count in the worker's account meanwhile */
};

/* Reads the change of a member: `state` and `read` are raw JSON, empty where the client has not
 * said them. False if neither was said, or one is not valid. */
bool presence_asking_read_change(struct presence_request *request, struct str state,
                                 struct str read, struct refusal *ret_refusal);

/* Reads the body of a PUT, {"state": …, "read": "ID"}: what the request has of it is borrowed. */
bool presence_asking_read_body(struct presence_request *request, struct str body,
                               struct refusal *ret_refusal);

/* Checks whether the publisher may do what the request asks for: the rights, the name, whether the
 * channel has presence, and for a change how fast changes may come. */
bool presence_asking_check(struct worker *worker, const struct publisher *publisher,
                           struct presence_request *request, struct str as,
                           struct refusal *ret_refusal);

/* Copies what the request borrows, and gives it to the host. `request->answered` is called later.
 * False if there is no memory; then nothing was asked. */
bool presence_asking_begin(struct worker *worker, struct presence_asking *asking,
                           struct refusal *ret_refusal);

/* Charges the turn of the worker for an answer that it has opened, whose list is copied into what
 * is sent. A turn opens mail many times, and more answers may have come each time. */
void presence_asking_charge(struct worker *worker, const struct presence_request *request);

/* The refusal of a request whose answer has a fault. */
struct refusal presence_asking_refusal(const struct presence_request *request);

/* Frees what the request owns. */
void presence_asking_free(struct presence_asking *asking);
