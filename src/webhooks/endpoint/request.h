/* Requests to the courier: what the API asks of a webhook, and how it is answered. */
#pragma once

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "net/mailbox.h"

struct courier;
struct endpoint;
struct websub_wish;

/* The largest body that a request to the courier may have: its thread parses it, between the
 * deliveries of all endpoints. */
enum { COURIER_BODY_MAX = 64 << 10 };

enum courier_op {
    COURIER_CREATE,
    COURIER_LIST,
    COURIER_GET,
    COURIER_CHANGE,
    COURIER_DELETE,
    COURIER_PING, /* answered once the receiver has answered */
    COURIER_PAUSE,
    COURIER_RESUME, /* disabled ones too; tries again at once */
    COURIER_ROTATE, /* a new secret; the old one signs too for a day */
    COURIER_REPLAY, /* from what `after` in the body says */
    COURIER_DELIVERIES,
    COURIER_DELIVERY,
    COURIER_RETRY,     /* of delivery n */
    COURIER_RETRY_ALL, /* of all that have failed */
    COURIER_DISCARD,   /* dead letter n: dealt with otherwise */
    COURIER_HUB,       /* a form of WebSub; answered before the subscriber is asked */
    COURIER_SUBSCRIBE, /* the courier's own: a subscription was verified, */
    COURIER_RENEW,     /* or an old one was verified anew, */
    COURIER_EXPIRE,    /* or its lease has ended */
};

enum courier_fault {
    COURIER_FINE = 0,
    COURIER_E_BAD,       /* the body is not what it should be, or the receiver did not verify */
    COURIER_E_CURSOR,    /* `after` is no position in the log */
    COURIER_E_FORBIDDEN, /* the address is not allowed */
    COURIER_E_MISSING,   /* there is no such endpoint */
    COURIER_E_MANY,
    COURIER_E_NOW,      /* stopping, or no memory: try again */
    COURIER_E_SPACE,    /* the disk is full */
    COURIER_E_DELIVERY, /* there is no such delivery */
    COURIER_E_KEY,      /* another body under the same key */
};

/* A request. The asker fills it in, owns it, and lends it to the courier until `reply_mail` was
 * opened, with `answer` filled in. */
struct courier_request {
    enum courier_op op;
    char id[32];     /* of the endpoint; a creation sets it with its answer */
    struct buf body; /* JSON, for create, change and replay; a form for the hub */
    struct buf key;  /* with create: its Idempotency-Key; empty for none; the asker's to free */
    uint64_t n;      /* the delivery */
    struct courier_filter {
        uint64_t before; /* numbers below; 0 for no bound */
        uint64_t event;  /* only deliveries with this event; 0: all */
        unsigned states; /* bits 1 << enum delivery_state; 0 for all */
        uint32_t limit;
        struct buf channel; /* only this one; the asker's to free */
        struct buf kept;    /* for the link to the next page; the asker's to free */
    } filter;
    struct mailbox *reply;
    struct mail reply_mail; /* posted to `reply` */
    enum courier_fault fault;
    const char *detail; /* with a fault: what would be right; static memory, or in `why` */
    struct buf why;     /* the asker's to free */
    struct buf answer;  /* JSON, empty after delete */
    bool repeated;      /* the endpoint was there: made by an earlier request with the same key */
    /* The courier's own: */
    const struct websub_wish *wish; /* with subscribe */
    struct mail mail;
    struct list waiting;     /* behind another change of the same endpoint */
    struct map_node in_keys; /* of those that create under a key, while `creates` */
    bool creates;
    struct courier *courier;
};

/* Any thread, between courier_start and courier_stop. */
void courier_submit(struct courier *courier, struct courier_request *request);

/* ---- on the courier's thread ----------------------------------------------------------------- */

/* Posts the answer; the request is the asker's again. */
void request_answer(struct courier_request *request);

/* The same with a fault; `detail` is static or in request->why. */
void request_refuse(struct courier_request *request, enum courier_fault fault, const char *detail);

/* The same for a `result` of the registry: the change could not be saved. */
void request_refuse_store(struct courier_request *request, int result);

/* The endpoint is no longer busy, or is gone: the requests that wait for it are opened anew. */
void requests_reopen(struct courier *courier, struct list *waiting);
