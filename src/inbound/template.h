/* Names made from what a webhook says: text with references in braces, as in
 * `github/{header.x-github-event}/{body.repository.name}`. */
#pragma once

#include "base/buf.h"
#include "inbound/request.h"

enum { TEMPLATE_TEXT_MAX = 512, TEMPLATE_PARTS_MAX = 16, TEMPLATE_VALUE_MAX = 100 };

/* What a part stands for; bits, so that a template can be held to some of them. */
enum template_part_kind {
    TEMPLATE_TEXT = 1,
    TEMPLATE_SOURCE = 2,     /* {source}: the name of the source */
    TEMPLATE_HEADER = 4,     /* {header.NAME} */
    TEMPLATE_MEMBER = 8,     /* {body.A.B.0}: by names and indexes into a JSON body */
    TEMPLATE_FORM = 16,      /* {form.NAME}: of a form-encoded body */
    TEMPLATE_TIMESTAMP = 32, /* {timestamp} */
    TEMPLATE_BODY = 64,      /* {body}: all of it, as it came */
};
enum {
    TEMPLATE_NAMES =
        TEMPLATE_TEXT | TEMPLATE_SOURCE | TEMPLATE_HEADER | TEMPLATE_MEMBER | TEMPLATE_FORM,
    TEMPLATE_SIGNED = TEMPLATE_TEXT | TEMPLATE_HEADER | TEMPLATE_TIMESTAMP | TEMPLATE_BODY,
};

struct template_part {
    enum template_part_kind kind;
    struct str text; /* the text, or what stands behind the first dot */
};

/* All zeroes is an empty template. */
struct template
{
    char *text; /* owned; the parts borrow from it, names of headers in lower case */
    size_t count;
    struct template_part parts[TEMPLATE_PARTS_MAX];
};

/* Reads a template of the kinds allowed. 0, -ENOMEM, or -EINVAL with what would be right in
 * `*ret_why` (static); then nothing is to be freed. */
int template_compile(struct str text, unsigned allowed, struct template *ret, const char **ret_why);
void template_free(struct template *template);

enum { TEMPLATE_WANTS_MAX = 48 };

/* A reference into the body, and what it refers to. */
struct template_want {
    struct template_part part;
    struct str value; /* raw; STR_NONE when it is not there */
    struct str head;  /* while it is looked for: the step that is due, */
    struct str rest;  /* and those behind it */
    uint64_t index;   /* the step as an index */
    bool found;
};

/* The body as templates look into it; made once a request, after it was verified. */
struct template_view {
    size_t wants_count;
    struct template_want wants[TEMPLATE_WANTS_MAX];
    struct str source;
    const struct inbound_request *request;
    struct str json; /* the body if it is JSON, or a form's member `payload` if that is */
    struct str form; /* the body if it is a form */
    struct buf room; /* a decoded payload */
};

/* -ENOMEM, and then there is nothing to free. */
int template_view_init(struct template_view *view, struct str source,
                       const struct inbound_request *request);
void template_view_deinit(struct template_view *view);

/* Looks up what these templates refer to, all in one pass over the body. What was not looked up
 * before template_render() costs a pass for each reference. */
void template_view_look(struct template_view *view, const struct template *const *templates,
                        size_t count);

/* How values are made fit for where they go. */
enum template_use {
    TEMPLATE_CHANNEL, /* each value is part of one segment: what cannot be in it becomes '-' */
    TEMPLATE_TYPE,    /* each value is letters, digits, '.', '_', '-': the rest becomes '_' */
    TEMPLATE_KEY,     /* as it is */
};

/* Adds the template with its values. A value that is not there is `none` in channels and types, and
 * nothing in keys; channels and types take at most TEMPLATE_VALUE_MAX bytes of each. Whether the
 * whole is a name is the caller's to check. True when every reference had a value. */
bool template_render(const struct template *template, const struct template_view *view,
                     enum template_use use, struct buf *out);
