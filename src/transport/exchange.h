/* An exchange: a request and its response, as handlers see them. */
#pragma once

#include "access/decide.h"
#include "http/response_gzip.h"
#include "transport/request_stream.h"

/* The handler of an exchange that waits, such as a long-poll. An exchange has one at a time. */
struct waiting {
    const struct waiting_ops *ops;
};

struct waiting_ops {
    /* Called when something has changed (request_stream_dirty(), request_stream_woken()) and
     * responses can be sent: answers if it can. */
    void (*look)(struct waiting *waiting);
    void (*ring)(struct waiting *waiting);  /* the timer rang, or the server stops: answer soon */
    void (*leave)(struct waiting *waiting); /* the client has shut its side, and may be gone */
    /* The client is gone: frees it, and the exchange. */
    void (*drop)(struct waiting *waiting);
    /* Tells the channels that the exchange subscribes to, see rounds.h. NULL: no subscription. */
    void (*tell)(const struct waiting *waiting, struct subscription_facts *facts);
};

struct identity;
struct parked;

/* Made by the kind of connection, which embeds it beside its own data about the request. */
struct exchange {
    struct request_stream *request; /* NULL once the client is gone */
    const struct request_stream_ops *ops;
    struct worker *worker;
    struct publish publish; /* room for the handler, so that a publish needs a single allocation */
    struct holding holding; /* for what is held of the response until it is sent */
    int64_t since_ns;       /* when the request was understood */
    bool is_head;
    bool browser;          /* has an Origin */
    bool is_tunnel;        /* asks for a WebSocket by extended CONNECT (RFC 8441) */
    bool chunked;          /* a body of unknown length is sent in chunks of HTTP/1.1 */
    bool patient;          /* has a deadline of its own instead of limits.publish_ms */
    atomic_bool dropped;   /* no response is wanted any more; the worker's thread sets it */
    uint8_t permissions;   /* the number of times that the operator's server gave permissions */
    struct caller *caller; /* who asks; NULL: anybody */
    bool is_identified;    /* `caller` is known */
    bool is_opaque; /* only the operator's server can read the credential; it was not asked yet */
    bool may_ask;   /* the operator's server decides about later requests of this WebSocket */
    bool is_denied; /* the operator's server was asked, and gives no more permissions */
    enum http_gzip_wish gzip; /* whether the body of the answer may be compressed */
    const struct identity
        *late_permission;        /* the answer of the operator's server; NULL: none yet */
    const struct identity *late; /* an identity that came while it waited; NULL: none */
    struct parked *parked; /* copies of a request that waits to be handled again; NULL otherwise */
    /* the question to the log whose result the response needs; NULL: none */
    struct question *question;
    struct waiting *waiting; /* NULL: it does not wait */
    /* set only while the handler runs; the worker has more about the request */
    const struct http_head *head;
    struct str origin; /* a copy of the Origin for later; empty if too long */
};

/* A longer Origin is not repeated in answers. */
enum { EXCHANGE_ORIGIN_MAX = 72 };

/* The number of fields that every response gets beside its own: Date and Cache-Control. */
enum { EXCHANGE_FIELDS = 2 };

/* Has the API handle the request, whose `head` is set. The exchange may be freed within. */
static inline void exchange_handle(struct exchange *exchange)
{
    struct worker *worker = exchange->worker;
    worker->handled = exchange;
    worker->config.handle(exchange);
    worker->handled = NULL;
}

/* The head while the handler of this exchange runs; NULL later, when `head` points to nothing. */
static inline const struct http_head *exchange_head(const struct exchange *exchange)
{
    return exchange->worker->handled == exchange ? exchange->head : NULL;
}

/* The request's body. Only while the handler runs. */
static inline struct str exchange_input(const struct exchange *exchange)
{
    return exchange->worker->body;
}

/* The body as it came, before its content coding was undone: signatures are made over it. */
static inline struct str exchange_received(const struct exchange *exchange)
{
    return exchange->worker->received;
}

/* The connection of the client; NULL once it is gone. */
struct conn *exchange_conn(const struct exchange *exchange);

/* The caller, for the doors and for access_check(). */
struct access exchange_access(const struct exchange *exchange);

/* Sends the response and frees it. Memory that the response borrows may be freed afterwards. */
void exchange_respond(struct exchange *exchange, struct response *response);
void exchange_json(struct exchange *exchange, int status, struct str body);

/* Answers with a problem document. `detail` says what would be right. `members` as in
 * problem_add(). */
void exchange_problem(struct exchange *exchange, enum problem problem, struct str detail,
                      struct str members);

/* The same for a refusal; its members are added to `members`. */
void exchange_refusal(struct exchange *exchange, const struct refusal *refusal, struct str members);

/* The same with the fields that `response` has; its status and body are replaced. */
void exchange_refuse(struct exchange *exchange, struct response *response, enum problem problem,
                     struct str detail, struct str members);

/* The same with a page instead of a problem document; the response has its Content-Type. */
void exchange_refuse_by(struct exchange *exchange, struct response *response, enum problem problem,
                        struct str detail, const struct buf *document);

/* Answers an exchange whose result has not come within limits.publish_ms. `was_parked`: it waited
 * for an answer about who asks, or who may do this. */
void exchange_answer_late(struct exchange *exchange, bool was_parked);

/* Sends the cached answer of an equal key: true. Otherwise the caller makes the response, which is
 * then cached under the key. Completes the key with the fields that depend on the connection. */
bool exchange_respond_known(struct exchange *exchange, struct page_key *key);
void exchange_respond_keep(struct exchange *exchange, const struct page_key *key,
                           struct response *response);

/* Begins a response whose body the pull writes: from here on the request stream belongs to the
 * pull. Uses up the response and frees the exchange. NULL if the client is gone, or was refused
 * because its subject has as many streams as it may have; then the pull is freed too. */
struct request_stream *exchange_pull(struct exchange *exchange, struct response *response,
                                     struct pull *pull);

/* The detail for the client in that case. */
#define EXCHANGE_SUBJECT_FULL                                                                      \
    "this subject has as many streams and polls as one may have "                                  \
    "(limits.subject_connections_max): end one, or raise the limit"

/* Ends the stream of a pull as politely as its protocol can; false if it has ended before. The pull
 * may be freed within the call. */
bool exchange_end_pull(struct pull *pull, enum ending why);

/* Puts another caller, of whom a reference is taken, in the place of the one under whom a pull goes
 * on; NULL: anybody. Returns 0; -EDQUOT if its subject has as many streams as it may have, or
 * -ENOMEM: then the pull goes on under the caller before. */
int exchange_replace_caller(struct worker *worker, struct pull *pull, struct caller *caller);

/* Lets the exchange wait: the request stream reports to `waiting`, and its timer is the exchange's.
 * False if the client is gone, or was refused because its subject has as many polls as it may have;
 * then the exchange is freed. */
bool exchange_wait(struct exchange *exchange, struct waiting *waiting);
/* Ends the wait, before the exchange is answered. Does not free `waiting`. */
void exchange_end_wait(struct exchange *exchange);

/* Asks the log for this exchange. The question is dropped if the connection goes, and hurried once
 * the peer has shut its side. */
void exchange_ask(struct exchange *exchange, struct question *question);

/* Called with the question's result. Returns whether the exchange still wants it; if not, the
 * exchange was freed. */
bool exchange_is_answered(struct exchange *exchange);

/* The client is gone, or was answered in another way. Frees what is held of the request, so that no
 * holding names a stream that ends. The exchange itself is freed when its answer comes. */
void exchange_drop(struct exchange *exchange);

/* Frees an exchange whose client is gone or whose answer is complete. The functions that answer do
 * this; handlers call it only if `dropped` is set. */
void exchange_free(struct exchange *exchange);
