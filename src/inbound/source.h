/* A source of webhooks as the configuration describes it: how it proves its identity, and the event
 * that each of its requests becomes. */
#pragma once

#include "inbound/challenge.h"
#include "inbound/verify.h"

/* The settings of a source; NULL or 0 means the default of its kind. Only source_new() reads
 * them. */
struct source_settings {
    const char *name; /* part of the path: letters, digits, '.', '_', '-' */
    const char *kind; /* github, stripe, slack, shopify, standard, hmac, token, basic or none */
    const char *const *secrets;
    size_t secrets_count;
    const char *header;
    const char *prefix;
    const char *hash;
    const char *encoding;
    const char *signature_field; /* names in a header of pairs, as in `t=1,v1=ab` */
    const char *timestamp_field;
    const char *timestamp_header;
    const char *signed_bytes; /* a template: {timestamp}, {body}, {header.NAME} */
    const char *channel;      /* templates of names, see template.h */
    const char *type;
    const char *id;
    uint64_t tolerance_s;
    struct challenge_settings challenge; /* without a method: the kind's own, or none */
};

struct source;

/* Returns 0, -ENOMEM, or -EINVAL with a sentence in `why`, which never holds a secret. */
int source_new(const struct source_settings *settings, struct source **ret_source, struct buf *why);
/* `source` may be NULL. Wipes the secrets. */
void source_free(struct source *source);

/* Notes which sources have a secret that an open challenge of another source uses: bodies that
 * could be answers to that challenge then do not count as signed. Call once all sources are made.
 */
void sources_note_shared(struct source *const *sources, size_t count);

struct str source_name(const struct source *source);
/* The header, in lower case, in which the source's requests bring their proof. */
struct str source_proof_header(const struct source *source);
/* Whether the answer must be empty, because the sender shows it to people. */
bool source_answers_empty(const struct source *source);

/* Whether the provider sends a challenge by GET first. */
bool source_is_asked(const struct source *source);
/* Whether answers to its challenges are JSON; else they are text. */
bool source_tells_json(const struct source *source);

/* Returns an enum verify_verdict, or -ENOMEM. */
int source_verify(const struct source *source, const struct inbound_request *request);

/* The event that a verified request becomes. */
struct source_event {
    struct buf channel; /* the caller must check that this is a channel's name */
    struct buf type;
    struct buf key;    /* `SOURCE-ID`; empty if the request has no id */
    struct buf answer; /* the answer to a challenge; then there is no event */
};

/* Reads a verified POST. Returns CHALLENGE_NONE after filling in a zeroed `event`, another enum
 * challenge_verdict, or -ENOMEM. Call source_event_deinit() in all cases. */
int source_read(const struct source *source, const struct inbound_request *request,
                struct source_event *event);
void source_event_deinit(struct source_event *event);

/* Reads a GET of a source with challenges by GET, in the same way. CHALLENGE_NONE: the request is
 * no challenge as configured. */
int source_ask(const struct source *source, const struct inbound_request *request,
               struct source_event *event);
