/* A change of an endpoint that is being saved.
 *
 * The endpoint changes at once, and the request is answered when the change is saved; if it cannot
 * be saved, the change is undone. Meanwhile the endpoint is busy: other changes wait, and so do
 * events. Otherwise a change that is refused would have sent some of them to another receiver, or
 * passed some by, and they would count as settled. */
#pragma once

#include "webhooks/endpoint/endpoint.h"
#include "webhooks/endpoint/spec.h"
#include "webhooks/endpoint/state_json.h"

struct put {
    struct saver_job job;
    struct courier *courier;
    struct courier_request *request;
    struct endpoint *endpoint; /* stays allocated while it is busy or not in the directory yet */
    struct endpoint_row row;   /* borrows the endpoint's texts */
    /* keys, options and state, to be restored if the change cannot be saved */
    struct endpoint_row before;
    struct spec spec; /* the texts before the change */
    bool anew;        /* the change affects which events are delivered, or in which lanes */
    bool forget;      /* drops the lanes on disk */
    bool made;        /* of a creation: the first ping is still to be sent */
    bool moves;       /* of a replay: the scan's new position, once it is saved */
    uint64_t cursor, told;
    enum state_detail detail;
};

/* Notes the state of the endpoint before the change. The request is borrowed until it is answered.
 */
struct put *put_new(struct courier_request *request, struct endpoint *endpoint);
void put_free(struct put *put);

/* Saves the current state of the endpoint. `done` is called with the job's result, and removes it
 * from courier->jobs. */
void put_submit(struct put *put, void (*done)(struct mail *mail, void *owner));

/* The same with the caller's function, which runs on the saver's thread. */
void put_submit_as(struct put *put, int (*run)(struct saver_job *job, struct registry *registry),
                   void (*done)(struct mail *mail, void *owner));

/* Ends the endpoint's busy state: waiting requests are opened. */
void put_end_busy(struct endpoint *endpoint);
