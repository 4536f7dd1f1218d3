/* Requests of the API to the courier, and their answers. */
#pragma once

#include "access/decide.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/map.h"
#include "net/mailbox.h"
#include "subscribe/start.h"

struct courier;
struct endpoint;
struct websub_wish;

/* The largest body of a request: the courier's thread parses it, between the deliveries of all
 * endpoints. */
enum { COURIER_BODY_MAX = 64 << 10 };

enum courier_op {
    COURIER_CREATE,
    COURIER_LIST,
    COURIER_GET,
    COURIER_CHANGE,
    COURIER_DELETE,
    COURIER_PING, /* a test delivery, answered once the receiver has answered */
    COURIER_PAUSE,
    COURIER_RESUME, /* also if disabled; tries again at once */
    COURIER_ROTATE, /* a new secret; the old one also signs for a day */
    COURIER_REPLAY, /* continues at the position `after` of the body */
    COURIER_DELIVERIES,
    COURIER_DELIVERY,
    COURIER_RETRY,     /* of delivery n */
    COURIER_RETRY_ALL, /* of all that have failed */
    COURIER_DISCARD,   /* removes dead letter n */
    COURIER_VISIT,     /* a webhook of the playground for the channel in the body, or its renewal */
    COURIER_HUB,       /* a WebSub form; answered before the subscriber is asked */
    COURIER_SUBSCRIBE, /* internal: a WebSub subscription was verified, */
    COURIER_RENEW,     /* or one that exists was verified again, */
    COURIER_EXPIRE,    /* or its lease has ended */
};

enum courier_fault {
    COURIER_FINE = 0,
    COURIER_E_BAD,       /* the body is wrong, or the receiver did not verify */
    COURIER_E_CURSOR,    /* `after` is no position of this log */
    COURIER_E_FORBIDDEN, /* the address is not allowed */
    COURIER_E_MISSING,   /* there is no such endpoint */
    COURIER_E_MANY,
    COURIER_E_NOW,      /* stopping, or out of memory: try again later */
    COURIER_E_SPACE,    /* the disk is full */
    COURIER_E_FATE,     /* the disk failed: a crash may do this, or undo it */
    COURIER_E_DELIVERY, /* there is no such delivery */
    COURIER_E_KEY,      /* the key was used with another body */
    COURIER_E_UNKNOWN,  /* no credential was shown */
    COURIER_E_ENDED,    /* the credential has ended */
    COURIER_E_GRANT,    /* the credential does not grant it */
};

/* A request. The asker fills it in and lends it to the courier until `reply_mail` is opened; then
 * `answer` is filled in. */
struct courier_request {
    enum courier_op op;
    char id[32];     /* of the endpoint; a creation sets it with its answer */
    struct buf body; /* JSON, for create, change and replay; a form for the hub */
    struct buf key;  /* with create: its Idempotency-Key; empty for none; the asker's to free */
    struct access access; /* the rights of the asker, who owns caller and rules */
    uint64_t n;           /* the delivery; of a visit, who visits */
    bool is_visit;        /* of a visitor of the playground, whose webhooks are inside */
    struct position from; /* of a visit: where a new webhook begins */
    struct courier_filter {
        uint64_t before; /* only deliveries with smaller numbers; 0 for all */
        uint64_t event;  /* only deliveries with this event; 0: all */
        unsigned states; /* bits 1 << enum delivery_state; 0 for all */
        uint32_t limit;
        struct buf channel; /* only this channel; freed by the asker */
        struct buf kept;    /* for the link to the next page; freed by the asker */
    } filter;
    struct mailbox *reply;
    struct mail reply_mail; /* posted to `reply` */
    enum courier_fault fault;
    const char *detail; /* with a fault: what would be right; static text, or in `why` */
    struct buf why;     /* the asker's to free */
    const char *may;    /* the action that was missing, and `why` has the channel; else NULL */
    struct buf answer;  /* JSON, empty after delete */
    bool repeated;      /* the endpoint existed: an earlier request with the same key made it */
    /* The courier's own: */
    const struct websub_wish *wish; /* with subscribe */
    struct mail mail;
    struct list waiting;     /* waits for another change of the same endpoint */
    struct map_node in_keys; /* in the list of requests that create under a key, while `creates` */
    uint8_t key_hash[HASH_SHA256_SIZE]; /* of the asker's name and `key` */
    bool creates;
    struct courier *courier;
};

/* Submits a request. Any thread, between courier_start and courier_stop. */
void courier_submit(struct courier *courier, struct courier_request *request);

/* ---- on the courier's thread ----------------------------------------------------------------- */

/* Posts the answer; the request belongs to the asker again. */
void request_answer(struct courier_request *request);

/* The same for a fault; `detail` is static or in request->why. */
void request_refuse(struct courier_request *request, enum courier_fault fault, const char *detail);

/* The same for a change that could not be saved, with the registry's `result`. */
void request_refuse_store(struct courier_request *request, int result);

/* Opens the waiting requests of an endpoint that is no longer busy, or is gone. */
void requests_reopen(struct courier *courier, struct list *waiting);
