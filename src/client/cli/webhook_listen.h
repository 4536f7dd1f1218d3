/* `freshet webhook listen`: a local receiver for trying webhooks out. */
#pragma once

#include "base/buf.h"
#include "inbound/verify.h"

struct listen_arguments {
    const char *address; /* HOST:PORT as the user gave it, or the default */
    struct str host;     /* without the brackets of an IPv6 address; borrowed */
    const char *port;
    uint64_t count;  /* 0: no end */
    uint64_t status; /* answer to good deliveries */
    struct verifier verifier;
};

/* Reads the arguments. `environment_secret` replaces an option that is not given, and may be NULL.
 * Returns 0, COMMAND_LINE_HELP, or -EINVAL with a sentence in `why`. Call listen_arguments_deinit()
 * in any case. */
int listen_read_arguments(int argc, char **argv, const char *environment_secret,
                          struct listen_arguments *ret, struct buf *why);
void listen_arguments_deinit(struct listen_arguments *arguments);

/* Runs the command; argv[0] is "listen". Returns the exit code of the process. */
int webhook_listen(int argc, char **argv);
extern const char webhook_listen_help[];
