/* Reads a command's arguments against a table of its options. */
#pragma once

#include "base/buf.h"

struct command_list {
    const char **at; /* room for argc of them, given by the caller */
    size_t count;
};

/* One option, written `--name` or `--name VALUE` or `--name=VALUE`. Exactly one of the pointers is
 * set and says what kind it is; what they point to is untouched if the option is not given. */
struct command_option {
    const char *name; /* without the dashes */
    bool *flag;
    const char **value;
    struct command_list *list; /* may be given several times */
    uint64_t *number;          /* from 1, or from 0 if `zero`, to `most` */
    uint64_t most;
    bool zero;
};

/* Reads argv[1] onward. What does not begin with `--` is positional, and so is everything behind a
 * lone `--`. 0, or -EINVAL with a sentence for the user in `why`. All results borrow from argv. */
int command_line_read(int argc, char **argv, const struct command_option *options, size_t count,
                      struct command_list *positionals, struct buf *why);
