/* Names made from the content of a webhook: text with references in braces, such as
 * `github/{header.x-github-event}/{body.repository.name}`. */
#pragma once

#include "base/buf.h"
#include "inbound/request.h"

enum { TEMPLATE_TEXT_MAX = 512, TEMPLATE_PARTS_MAX = 16, TEMPLATE_VALUE_MAX = 100 };

/* The kinds of a template's parts; bits, so that a template can be restricted to some of them. */
enum template_part_kind {
    TEMPLATE_TEXT = 1,
    TEMPLATE_SOURCE = 2,     /* {source}: the name of the source */
    TEMPLATE_HEADER = 4,     /* {header.NAME} */
    TEMPLATE_MEMBER = 8,     /* {body.A.B.0}: a path of names and indexes in a JSON body */
    TEMPLATE_FORM = 16,      /* {form.NAME}: a member of a form-encoded body */
    TEMPLATE_TIMESTAMP = 32, /* {timestamp} */
    TEMPLATE_BODY = 64,      /* {body}: the whole body, unchanged */
    TEMPLATE_QUERY = 128,    /* {query.NAME}: of the URL */
    TEMPLATE_VALUE = 256,    /* {value}: the token of a challenge, */
    TEMPLATE_HASH = 512,     /* {hash}: its hash, */
    TEMPLATE_SECRET = 1024,  /* {secret}: and what goes into that */
};
enum {
    TEMPLATE_NAMES =
        TEMPLATE_TEXT | TEMPLATE_SOURCE | TEMPLATE_HEADER | TEMPLATE_MEMBER | TEMPLATE_FORM,
    TEMPLATE_SIGNED = TEMPLATE_TEXT | TEMPLATE_HEADER | TEMPLATE_TIMESTAMP | TEMPLATE_BODY,
    /* Names never come from the query, which no signature covers. */
    TEMPLATE_ASKED = TEMPLATE_NAMES | TEMPLATE_QUERY,
    TEMPLATE_HASHED = TEMPLATE_TEXT | TEMPLATE_VALUE | TEMPLATE_SECRET,
    TEMPLATE_TOLD = TEMPLATE_TEXT | TEMPLATE_VALUE | TEMPLATE_HASH,
};

struct template_part {
    enum template_part_kind kind;
    struct str text; /* the text, or the part behind the first dot */
};

/* A template of zeroes is empty. */
struct template
{
    char *text; /* owned; the parts borrow from it, with header names in lower case */
    size_t count;
    struct template_part parts[TEMPLATE_PARTS_MAX];
};

/* Compiles a template with the kinds of parts that are allowed. Returns 0, -ENOMEM, or -EINVAL with
 * a hint in `*ret_why` (static); after an error there is nothing to free. */
int template_compile(struct str text, unsigned allowed, struct template *ret, const char **ret_why);
void template_free(struct template *template);

enum { TEMPLATE_WANTS_MAX = 48 };

/* A reference into the body, and its value. */
struct template_want {
    struct template_part part;
    struct str value; /* raw; STR_NONE if it is absent */
    struct str head;  /* during a search: the next step, */
    struct str rest;  /* and the steps behind it */
    uint64_t index;   /* the next step as an index */
    bool found;
};

/* The body in the form that templates read; made once for a request, after it was verified. */
struct template_view {
    size_t wants_count;
    struct template_want wants[TEMPLATE_WANTS_MAX];
    struct str source;
    const struct inbound_request *request;
    struct str json; /* the body if it is JSON, or a form's member `payload` if that is JSON */
    struct str form; /* the body if it is a form */
    struct buf room; /* a decoded payload */
    struct str value, hash, secret; /* of a challenge; set by who renders what refers to them */
};

/* Returns -ENOMEM with nothing to free. */
int template_view_init(struct template_view *view, struct str source,
                       const struct inbound_request *request);
void template_view_deinit(struct template_view *view);

/* Looks up the references of these templates in one pass over the body. Without this,
 * template_render() makes a pass for each reference. */
void template_view_look(struct template_view *view, const struct template *const *templates,
                        size_t count);

/* How values are made to fit their place. */
enum template_use {
    TEMPLATE_CHANNEL, /* each value is part of one segment: characters that cannot be in it become
                       * '-' */
    TEMPLATE_TYPE,    /* each value is letters, digits, '.', '_', '-': others become '_' */
    TEMPLATE_KEY,     /* unchanged */
};

/* Renders the template. A value that is absent becomes `none` in channels and types, and nothing in
 * keys. Channels and types take at most TEMPLATE_VALUE_MAX bytes of each value. The caller must
 * check whether the result is a valid name. Returns whether every reference had a value. */
bool template_render(const struct template *template, const struct template_view *view,
                     enum template_use use, struct buf *out);
