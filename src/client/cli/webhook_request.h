/* `freshet webhook VERB …`: the request that its arguments describe. */
#pragma once

#include "client/lib/server_url.h"
#include "client/lib/credential.h"
#include "client/lib/trust.h"

/* The format in which the answer is printed. */
enum webhook_show {
    WEBHOOK_SHOW_ANSWER,     /* unchanged, on one line */
    WEBHOOK_SHOW_WEBHOOKS,   /* the elements of `webhooks`, one a line */
    WEBHOOK_SHOW_DELIVERIES, /* the elements of `deliveries` */
    WEBHOOK_SHOW_NOTHING,
};

struct webhook_request {
    struct server_url url; /* borrowed from the arguments */
    struct trust trust;
    struct credential credential;
    const char *token;  /* NULL: none */
    const char *method; /* static */
    enum webhook_show show;
    bool json;       /* lists as JSON, not as a table */
    struct buf path; /* path below the URL, with its query */
    struct buf body; /* for POST; may be empty */
};

/* Reads the arguments, the first of which is the verb. `environment_…` replace options that are not
 * given, and may be NULL. Returns 0, COMMAND_LINE_HELP, or -EINVAL with a sentence in `why`. Call
 * webhook_request_deinit() in any case. */
int webhook_read_arguments(int argc, char **argv, const char *environment_url,
                           const char *environment_token, struct webhook_request *ret,
                           struct buf *why);
void webhook_request_deinit(struct webhook_request *request);

/* The help of a verb; NULL if there is no such verb. Static. */
const char *webhook_verb_help(const char *verb);
