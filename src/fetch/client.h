/* HTTP requests to receivers that are not trusted: libcurl on the loop of its owner, within bounds.
 */
#pragma once

#include "base/buf.h"
#include "fetch/address.h"
#include "fetch/identity.h"
#include "net/loop.h"

#include <curl/curl.h>

enum {
    CLIENT_RESPONSE_MAX = 16 << 10,
    CLIENT_SPARES = 64,
    CLIENT_ADDRESSES_MAX = 8, /* that a request tries of all those that a name lists */
};

struct call;
struct client;

struct call_request {
    enum call_method { CALL_POST, CALL_OPTIONS, CALL_GET } method;
    const char *url;
    struct curl_slist *headers;
    struct str body; /* stays until the call has ended */
};

/* The way calls are made: by libcurl, unless a test stands in for it. */
struct client_ops {
    /* Starts a call whose outcome is empty. It ends by call_end(), in a later turn. 0 or -ENOMEM.
     * Takes request->headers over, in any case. */
    int (*start)(struct client *client, struct call *call, const struct call_request *request);
    /* Ends a call that is under way. */
    void (*stop)(struct call *call);
};

struct client {
    const struct client_ops *ops;
    struct loop *loop;
    struct address_policy policy;
    int64_t timeout_ms;         /* of a whole request, unless the call says otherwise */
    unsigned connections_max;   /* with connections that are kept open for later */
    const char *const *resolve; /* "name:port:address,…" for tests, ended by a NULL; or NULL */
    struct str authorities;     /* accepted besides those of the system, in PEM form; borrowed, and
                                 * may be replaced between two turns */
    struct client_identity identity; /* borrowed in the same way */
    CURLM *multi;
    int64_t due_ns;        /* when curl wants to be called, 0 for never */
    struct list unwatched; /* watches that this turn's events may still point at */
    struct list stranded;  /* calls that have lost their socket before they were sent */
    unsigned inflight;
    CURL *spares[CLIENT_SPARES]; /* a handle's making costs more than a request */
    unsigned spares_count;
};

/* A request, embedded in what wants it. All zeroes is none. */
struct call {
    struct client *client;
    bool is_under_way;
    CURL *easy;          /* while it is under way, by libcurl */
    int64_t timeout_ms;  /* set before; 0 for the client's */
    size_t response_max; /* set before: bytes of the body that are kept; 0: CLIENT_RESPONSE_MAX */
    struct curl_slist *headers;
    struct curl_slist *resolve;
    bool repeatable;      /* set before: a second sending does no harm, though the method is POST */
    struct list stranded; /* in client->stranded, until the turn ends */
    bool trusted;         /* the URL's host may resolve to any address */
    bool identified;      /* and gets to see the server's certificate */
    /* Called once, in a later turn. */
    void (*done)(struct call *call);
    /* The outcome; stands until the next start or call_free(): */
    int status;         /* 0 when the head of the answer was not whole */
    const char *error;  /* why there is no answer, or only a part of it; NULL for none; static */
    bool timed_out;     /* the request took too long */
    bool forbidden;     /* the address is not allowed */
    bool unanswered;    /* the connection was closed after the request was sent */
    bool repeats;       /* the request may be sent a second time */
    unsigned sendings;  /* how often curl began to send; a second time only if nothing had left, or
                         * the request repeats */
    unsigned addresses; /* that it tried to connect to, up to CLIENT_ADDRESSES_MAX + 1 */
    int64_t started_ns;
    int64_t ended_ns;
    char retry_after[64];     /* value of that header, empty without it */
    char allowed_origin[256]; /* value of WebHook-Allowed-Origin, empty without it */
    struct buf response;      /* the first bytes of the body */
    size_t response_size;
    size_t header_size;
};

/* Whether it was answered by 2xx, though the body may have broken off. */
static inline bool call_is_accepted(const struct call *call)
{
    return call->status >= 200 && call->status < 300;
}

/* `policy` is copied; its networks must stay. More than `connections_max` calls at a time wait for
 * one another. 0 or -ENOMEM. */
int client_init(struct client *client, struct loop *loop, const struct address_policy *policy,
                int64_t timeout_ms, unsigned connections_max);
/* No call is under way. */
void client_deinit(struct client *client);

/* How long the loop may wait for curl's sake, in ms; -1 for as long as it likes. */
int client_wait_ms(const struct client *client);

/* After each turn of the loop: moves on what is due, and calls `done`. */
void client_turn(struct client *client);

/* POSTs `body`, which must stay until it is done. Takes `headers` over, in any case. 0 or -ENOMEM,
 * and then `done` does not follow. */
int call_post(struct client *client, struct call *call, const char *url, struct curl_slist *headers,
              struct str body);

/* The same by OPTIONS and without a body. */
int call_options(struct client *client, struct call *call, const char *url,
                 struct curl_slist *headers);

/* The same by GET. */
int call_get(struct client *client, struct call *call, const char *url);

/* For the way calls are made: the call has ended and its outcome is there, but for `ended_ns`.
 * Calls `done`. */
void call_end(struct call *call);

/* Breaks the call off, if it is under way; `done` is not called. Do not call from within `done`. */
void call_cancel(struct call *call);

/* The same, and frees what the outcome holds. */
void call_free(struct call *call);
