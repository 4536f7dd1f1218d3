/* `freshet sub`: its arguments. */
#pragma once

#include "base/command_line.h"
#include "client/lib/credential.h"
#include "client/lib/follow.h"

struct sub_arguments {
    struct follow_wish wish; /* borrows from the lists */
    struct command_list channels, types;
    struct credential credential; /* to be ended by the caller, in any case */
    bool data_only;
    uint64_t count; /* 0: no end */
};

/* Reads the arguments. `environment_url` and `environment_token` replace options that are not
 * given, and may be NULL. The lists of `ret` must have room for argc entries. Returns 0,
 * COMMAND_LINE_HELP, or -EINVAL with a sentence in `why`. */
int sub_read_arguments(int argc, char **argv, const char *environment_url,
                       const char *environment_token, struct sub_arguments *ret, struct buf *why);
