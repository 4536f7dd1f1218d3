/* Reads a command's arguments against a table of its options. */
#pragma once

#include "base/number.h"

struct command_list {
    const char **at; /* room for argc pointers, given by the caller */
    size_t count;
    size_t behind; /* the number of arguments behind a lone `--`, which are never options */
};

/* An option, written `--name` or `--name VALUE` or `--name=VALUE`. Exactly one of the pointers is
 * set and decides the option's kind; its target is untouched if the option is not given. Only flags
 * and lists may be given twice. */
struct command_option {
    const char *name; /* without the dashes */
    bool *flag;
    const char **value;
    struct command_list *list; /* may be given several times */
    uint64_t *number;          /* from 1, or from 0 if `zero`, to `most` */
    uint64_t most;
    bool zero;
};

/* Result of command_line_read(): `--help` or `-h` stands where an option may stand. */
enum { COMMAND_LINE_HELP = 1 };

/* Reads argv[1] onward. An argument that does not begin with `--` is positional, and so is every
 * argument behind a lone `--`. The argument behind `--name` is the option's value, even if it
 * begins with `--`. There are 64 options at most. Returns 0, COMMAND_LINE_HELP, or -EINVAL with a
 * sentence for the user in `why`. All results borrow from argv. */
int command_line_read(int argc, char **argv, const struct command_option *options, size_t count,
                      struct command_list *positionals, struct buf *why);

/* Whether `argument`, which stands where an option may stand, asks for help. */
bool command_line_is_help(const char *argument);

/* Ends a command for which command_line_read() did not return 0: prints `help` to standard output,
 * or `why` to standard error. `hint` tells the reader what to do next: the help, or a line that
 * names it. Returns the exit code of the process. */
int command_line_end(int result, const char *command, const struct buf *why, const char *help,
                     const char *hint);
