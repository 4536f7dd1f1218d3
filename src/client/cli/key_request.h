/* `freshet key VERB …`: the request that its arguments describe. */
#pragma once

#include "client/lib/server_url.h"
#include "client/lib/trust.h"

enum key_verb { KEY_VERB_CREATE, KEY_VERB_LIST, KEY_VERB_REVOKE, KEY_VERB_GENERATE };

struct key_request {
    enum key_verb verb;
    struct server_url url; /* borrowed from the arguments */
    struct trust trust;
    const char *token_file; /* the file that holds the caller's own key; NULL: none, "-": standard
                             * input */
    bool json;              /* lists as JSON, not as a table */
    struct buf path;        /* below the URL */
    struct buf body;        /* for POST */
};

/* Reads the arguments, the first of which is the verb. `environment_url` replaces an option that is
 * not given, and may be NULL. Returns 0, COMMAND_LINE_HELP, or -EINVAL with a sentence in `why`.
 * Call key_request_deinit() in any case. */
int key_read_arguments(int argc, char **argv, const char *environment_url, struct key_request *ret,
                       struct buf *why);
void key_request_deinit(struct key_request *request);

/* The help of a verb; NULL if there is no such verb. Static. */
const char *key_verb_help(const char *verb);
