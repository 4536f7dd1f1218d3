/* `freshet presence`: its arguments. */
#pragma once

#include "client/lib/credential.h"
#include "client/lib/server_url.h"
#include "client/lib/trust.h"

struct presence_arguments {
    struct server_url url;
    struct trust trust;
    struct credential credential; /* to be ended by the caller, in any case */
    const char *channel;          /* the argument, unchanged */
    bool once;                    /* the list alone */
};

/* Reads the arguments. `environment_url` and `environment_token` replace options that are not
 * given, and may be NULL. Returns 0, COMMAND_LINE_HELP, or -EINVAL with a sentence in `why`; the
 * caller deinits the credential in any case. */
int presence_read_arguments(int argc, char **argv, const char *environment_url,
                            const char *environment_token, struct presence_arguments *ret,
                            struct buf *why);

/* Adds the path and query of a page of the list: the first, or the one behind a member, which is
 * the last element of a page before. False if that is no member. */
bool presence_add_page(struct buf *out, struct str channel, struct str last_member);
