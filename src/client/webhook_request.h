/* `freshet webhook VERB …`: what the arguments ask of the server. */
#pragma once

#include "client/server_url.h"

/* How the answer is printed. */
enum webhook_show {
    WEBHOOK_SHOW_ANSWER,     /* as it is, on one line */
    WEBHOOK_SHOW_WEBHOOKS,   /* the elements of `webhooks`, a line each */
    WEBHOOK_SHOW_DELIVERIES, /* those of `deliveries` */
    WEBHOOK_SHOW_NOTHING,
};

struct webhook_request {
    struct server_url url; /* borrowed from the arguments */
    const char *token;     /* NULL: none */
    const char *method;    /* static */
    enum webhook_show show;
    bool json;       /* lists as JSON, not as a table */
    struct buf path; /* below the URL, with its query */
    struct buf body; /* of a POST; may be empty */
};

/* Reads the arguments, of which the first is the verb. `environment_…` stand in for options that
 * are not given and may be NULL. 0, COMMAND_LINE_HELP, or -EINVAL with a sentence in `why`;
 * webhook_request_deinit() in any case. */
int webhook_read_arguments(int argc, char **argv, const char *environment_url,
                           const char *environment_token, struct webhook_request *ret,
                           struct buf *why);
void webhook_request_deinit(struct webhook_request *request);

/* The help of a verb; NULL when there is no such verb. Static. */
const char *webhook_verb_help(const char *verb);
