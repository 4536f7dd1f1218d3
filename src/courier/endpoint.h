/* The courier's inside, shared by its own files: endpoints, their states, and what is kept of them.
 */
#pragma once

#include "base/map.h"
#include "courier/client.h"
#include "courier/courier.h"
#include "courier/registry.h"
#include "courier/schedule.h"

enum { WEBHOOK_ID_MAX = 48 };

struct courier {
    struct courier_config config;
    struct schedule schedule;
    struct courier_stats stats;
    struct loop loop;
    struct hub hub;
    struct client client;
    struct registry *registry;
    struct map by_id;
    struct list endpoints; /* the oldest first */
    struct list ready;     /* those that may have something to do */
    struct list changed;   /* those whose progress is not kept yet */
    struct list pings;
    unsigned pings_count;
    unsigned searches;  /* for a start by time, under way */
    int64_t keep_at_ns; /* when progress is to be kept; 0 when there is none */
    struct timer settle;
    bool stopping;
    int64_t stop_at_ns;
    struct mail stop_mail;
    pthread_t thread;
};

enum hand { HAND_EMPTY, HAND_EVENT, HAND_GAP };

/* A webhook. It takes a chunk of events, delivers them one by one, and takes the next; after a
 * failure it lets go of everything and begins again at its cursor. */
struct endpoint {
    struct map_node in_map;
    struct list node;    /* in courier->endpoints */
    struct list ready;   /* in courier->ready */
    struct list changed; /* in courier->changed */
    struct courier *courier;
    struct endpoint_row row;
    struct selection *selection;
    char **headers; /* "Name: value", ended by a NULL */
    struct sub sub;
    struct chunk *chunk; /* the events at hand: records [at, end) */
    uint32_t at;
    uint32_t end;
    struct call call;
    enum hand hand;       /* what the call delivers */
    uint64_t hand_cursor; /* where the cursor goes when it is delivered */
    uint64_t hand_told;   /* and `told` */
    struct buf hand_body; /* of a gap; an event's is in `chunk` */
    bool stale;           /* let go under a call: it begins again after it */
    struct timer retry;
    int last_status; /* of the last attempt, pings too; 0 for no answer */
    const char *last_error;
    int64_t last_us; /* 0: there was none yet */
    struct buf last_response;
};

/* ---- endpoint.c: what there is, and what is kept of it --------------------------------------- */

/* A new endpoint that is not among the others yet. Takes the row over, in any case. NULL when there
 * is no memory. */
struct endpoint *endpoint_new(struct courier *courier, struct endpoint_row *row);
/* Ends whatever it does; takes it from the others if it is among them. */
void endpoint_free(struct endpoint *endpoint);

/* Puts it among the others and lets it begin. */
void endpoint_add(struct endpoint *endpoint);
struct endpoint *endpoint_find(const struct courier *courier, const char *id);

/* Makes selection and header lines anew from the row. False when there is no memory. */
bool endpoint_prepare(struct endpoint *endpoint);

/* Its progress is to be kept, soon. */
void endpoint_changed(struct endpoint *endpoint);
/* Keeps what has changed, if it is time or `now`. */
void endpoints_keep(struct courier *courier, bool now);
/* Brings the cursors of those that have all there is up to date. */
void endpoints_settle(struct courier *courier);

static inline bool endpoint_runs(const struct endpoint *endpoint)
{
    return endpoint->row.state == ENDPOINT_ACTIVE || endpoint->row.state == ENDPOINT_FAILING;
}

/* Everything up to there was delivered. */
uint64_t endpoint_cursor(const struct endpoint *endpoint);

/* ---- delivery.c ----------------------------------------------------------------------------- */

/* It may have something to do: looked at before the turn ends. */
void endpoint_ready(struct endpoint *endpoint);
void endpoints_go(struct courier *courier);

/* Lets go of events at hand and of the hub, to begin again at the cursor. A call under way goes on.
 */
void endpoint_let_go(struct endpoint *endpoint);

/* Waits as long as row.next_us says, or not at all. */
void endpoint_wait(struct endpoint *endpoint);

/* The headers of a signed request; NULL when there is no memory. */
struct curl_slist *endpoint_headers(const struct endpoint *endpoint, struct str id,
                                    struct str body);

/* Notes the outcome of any request. */
void endpoint_note(struct endpoint *endpoint, const struct call *call);

/* ---- ping.c --------------------------------------------------------------------------------- */

/* Sends a ping. With a request it is answered after it; if the request is a creation, the endpoint
 * is not among the others yet, and is added or freed. False when there is no memory. */
bool ping_start(struct endpoint *endpoint, struct courier_request *request);
/* The endpoint goes away. */
void pings_forget(struct endpoint *endpoint);
/* Breaks all of them off and answers who waits. */
void pings_end(struct courier *courier);

/* ---- tell.c --------------------------------------------------------------------------------- */

enum tell { TELL_LINE, TELL_ALL, TELL_SECRET };
/* Adds the endpoint as a JSON object. Only TELL_SECRET shows the secret. */
void endpoint_tell(const struct endpoint *endpoint, struct buf *out, enum tell tell);

/* ---- request.c ------------------------------------------------------------------------------ */

void request_answer(struct courier_request *request);
void request_refuse(struct courier_request *request, enum courier_fault fault, const char *detail);
/* The last step of a creation: keeps it, adds it, answers. False when it was refused and freed. */
bool request_created(struct courier_request *request, struct endpoint *endpoint);
