/* A response as data: status, fields and body, before any version of HTTP has written it.
 *
 * Whoever handles a request makes one, and knows neither lines nor frames. The writer of the
 * connection's version of HTTP adds what belongs to the connection: framing, Content-Length,
 * whether the connection stays. */
#pragma once

#include "base/buf.h"

enum { RESPONSE_FIELDS_MAX = 32, RESPONSE_PARTS = 3 };

struct response_field {
    struct str name;
    const char *at; /* the value; NULL: it was composed, and begins at `from` of `text` */
    size_t from;
    size_t len;
};

struct response {
    int status;
    bool goes_on;    /* a stream: no cache keeps it, and nobody between may hold it up */
    bool kept;       /* a browser may keep it, and asks each time whether it has changed */
    bool bodiless;   /* neither body nor Content-Length, as with 204 */
    struct str type; /* Content-Type; empty for none */
    struct str body[RESPONSE_PARTS]; /* parts that follow each other; borrowed */
    unsigned count;
    struct response_field fields[RESPONSE_FIELDS_MAX];
    struct buf text; /* the values that were composed */
};

/* Begins a response with nothing but its status. */
static inline void response_init(struct response *response, int status)
{
    response->status = status;
    response->goes_on = response->kept = response->bodiless = false;
    response->type = STR_NONE;
    for (int i = 0; i < RESPONSE_PARTS; i++)
        response->body[i] = STR_NONE;
    response->count = 0;
    response->text = (struct buf){0};
}

/* Sets a body of JSON, borrowed, that ends with a newline, so that in a terminal the prompt does
 * not stand behind it. */
void response_json(struct response *response, struct str body);

/* Frees what was composed. */
void response_deinit(struct response *response);

/* Adds a field whose value is borrowed, and stays until the response is written. Names are
 * literals. A field beyond RESPONSE_FIELDS_MAX makes the response fail. */
void response_add(struct response *response, struct str name, struct str value);

/* Begins a field whose value is what the caller adds to the buffer until it begins the next field,
 * or answers. Values may hold any byte: writers replace those that are not allowed. */
struct buf *response_compose(struct response *response, struct str name);

/* Says that something is missing, for lack of memory: the response cannot be sent. */
static inline void response_fail(struct response *response)
{
    response->text.failed = true;
}

static inline bool response_failed(const struct response *response)
{
    return buf_failed(&response->text);
}

/* The value of a field; valid until the next is composed. */
struct str response_value(const struct response *response, unsigned i);

/* The bytes of the body. */
size_t response_length(const struct response *response);
