/* `freshet pub`: its arguments. */
#pragma once

#include "client/lib/credential.h"
#include "client/lib/outgoing.h"
#include "client/lib/server_url.h"
#include "client/lib/trust.h"

/* All texts are borrowed from the arguments. */
struct pub_arguments {
    struct server_url url;
    struct trust trust;
    struct credential credential; /* to be ended by the caller, in any case */
    const char *token;            /* NULL: none */
    const char *channel;
    const char *data; /* NULL: standard input, line by line */
    const char *type; /* NULL: the server's default */
    const char *key;  /* NULL: a random one */
    const char *content_type;
    enum outgoing_kind kind; /* according to the content type */
};

/* Reads the arguments. `environment_url` and `environment_token` replace options that are not
 * given, and may be NULL. Returns 0, COMMAND_LINE_HELP, or -EINVAL with a sentence in `why`. */
int pub_read_arguments(int argc, char **argv, const char *environment_url,
                       const char *environment_token, struct pub_arguments *ret, struct buf *why);
