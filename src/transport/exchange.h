/* An exchange: a request and its response, as handlers see them. */
#pragma once

#include "access/decide.h"
#include "http/response.h"
#include "transport/request_stream.h"

/* A request whose response waits for something, such as a long-poll. One thing at a time. */
struct waiting {
    const struct waiting_ops *ops;
};

struct waiting_ops {
    /* Something has changed (request_stream_dirty(), request_stream_woken()), and responses can be
     * sent now: answers if it can. */
    void (*look)(struct waiting *waiting);
    void (*ring)(struct waiting *waiting);  /* the timer, or the server stops: answers soon */
    void (*leave)(struct waiting *waiting); /* the client is done sending, and may be gone */
    /* The client is gone: frees it, and the exchange. */
    void (*drop)(struct waiting *waiting);
};

/* The kind of the connection makes it, together with what it notes itself of the request. */
struct exchange {
    struct request_stream *request; /* NULL once the client is gone */
    const struct request_stream_ops *ops;
    struct worker *worker;
    struct publish publish; /* for the API's use, so that a publish costs one allocation */
    struct holding holding; /* for what is held of the response until it is sent */
    int64_t since_ns;       /* when the request was understood */
    bool is_head;
    bool browser;                 /* has an Origin */
    bool chunked;                 /* a body that goes on is written in chunks of HTTP/1.1 */
    bool patient;                 /* has a deadline of its own instead of limits.publish_ms */
    bool dropped;                 /* no response is wanted any more */
    struct caller *caller;        /* who asks; NULL: anybody */
    struct question *question;    /* to the log, for the answer; NULL: none */
    struct waiting *waiting;      /* NULL: it does not wait */
    const struct http_head *head; /* only during handle, when the worker has the rest of the
                                   * request */
    struct str origin;            /* a copy of it, for later; empty when too long */
};

/* Longer origins are not answered with. */
enum { EXCHANGE_ORIGIN_MAX = 72 };

/* The number of fields that every response has behind its own: Date, and Cache-Control. */
enum { EXCHANGE_FIELDS = 2 };

/* The request's body. Only during handle. */
static inline struct str exchange_input(const struct exchange *exchange)
{
    return exchange->worker->body;
}

/* The same as it came, before its content coding was undone: what signatures are made over. */
static inline struct str exchange_received(const struct exchange *exchange)
{
    return exchange->worker->received;
}

/* Who asks, for the doors and for access_check(). */
struct access exchange_access(const struct exchange *exchange);

/* Answers with a response, which is used up: what it borrows may go afterwards. */
void exchange_respond(struct exchange *exchange, struct response *response);
void exchange_json(struct exchange *exchange, int status, struct str body);

/* Answers with a problem document. `detail` says what would be right. `members` as in
 * problem_add(). */
void exchange_problem(struct exchange *exchange, enum problem problem, struct str detail,
                      struct str members);

/* The same for a refusal, with the members that it has beside `members`. */
void exchange_refusal(struct exchange *exchange, const struct refusal *refusal, struct str members);

/* The same with the fields that `response` has already; its status and body are set here. */
void exchange_refuse(struct exchange *exchange, struct response *response, enum problem problem,
                     struct str detail, struct str members);

/* Answers as before under an equal key, if that is known: true. Otherwise the caller makes the
 * response, and has it kept under the key. The fields of the key that depend on the connection are
 * set here. */
bool exchange_respond_known(struct exchange *exchange, struct page_key *key);
void exchange_respond_keep(struct exchange *exchange, const struct page_key *key,
                           struct response *response);

/* Begins a response, which is used up, whose body the pull writes: the request stream is the pull's
 * from here on. The exchange is freed. NULL when the client is gone; then the pull was freed
 * too. */
struct request_stream *exchange_pull(struct exchange *exchange, struct response *response,
                                     struct pull *pull);

/* The exchange waits, and `waiting` is told of what happens meanwhile. Its timer is that of the
 * request stream. False when the client is gone. */
bool exchange_wait(struct exchange *exchange, struct waiting *waiting);
/* The wait is over: the exchange is answered next. Does not free `waiting`. */
void exchange_end_wait(struct exchange *exchange);

/* Asks the log for this exchange: the question is dropped if the connection goes, and hurried once
 * the peer has finished sending. */
void exchange_ask(struct exchange *exchange, struct question *question);

/* The question was answered. Whether the exchange still wants it; otherwise it was freed. */
bool exchange_is_answered(struct exchange *exchange);

/* Frees an exchange whose client is gone, or whose answer is complete. The answering functions do
 * this; call it only if `dropped` is set. */
void exchange_free(struct exchange *exchange);
