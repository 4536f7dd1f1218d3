/* A source of webhooks as the configuration names it: how it proves itself, and which event each of
 * its requests becomes. */
#pragma once

#include "inbound/verify.h"

/* What the configuration says; what is NULL or 0 is the kind's own. Read by source_new() alone. */
struct source_settings {
    const char *name; /* in the path: letters, digits, '.', '_', '-' */
    const char *kind; /* github, stripe, slack, shopify, standard, hmac, token, basic or none */
    const char *const *secrets;
    size_t secrets_count;
    const char *header;
    const char *prefix;
    const char *hash;
    const char *encoding;
    const char *timestamp_header;
    const char *signed_bytes; /* a template: {timestamp}, {body}, {header.NAME} */
    const char *channel;      /* templates of names, see template.h */
    const char *type;
    const char *id;
    uint64_t tolerance_s;
};

struct source;

/* 0, -ENOMEM, or -EINVAL with a sentence in `why`, which never holds a secret. */
int source_new(const struct source_settings *settings, struct source **ret_source, struct buf *why);
/* NULL is fine. Wipes the secrets. */
void source_free(struct source *source);

struct str source_name(const struct source *source);
/* Whether whoever sends is to get an empty answer: it shows people what it gets. */
bool source_answers_empty(const struct source *source);

/* An enum verify_verdict, or -ENOMEM. */
int source_verify(const struct source *source, const struct inbound_request *request);

/* What a request that was verified becomes. */
struct source_event {
    struct buf channel; /* whether it is a channel's name is the caller's to check */
    struct buf type;
    struct buf key;       /* `SOURCE-ID`; empty when the request has no id */
    struct buf challenge; /* not an event: the sender wants this back */
};

/* Fills in a zeroed event. 0 or -ENOMEM; source_event_deinit() in any case. */
int source_read(const struct source *source, const struct inbound_request *request,
                struct source_event *event);
void source_event_deinit(struct source_event *event);
