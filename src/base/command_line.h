/* Reads a command's arguments against a table of its options. */
#pragma once

#include "base/number.h"

struct command_list {
    const char **at; /* room for argc of them, given by the caller */
    size_t count;
    size_t behind; /* how many of them stand behind `--`, and so are never options */
};

/* One option, written `--name` or `--name VALUE` or `--name=VALUE`. Exactly one of the pointers is
 * set and says what kind it is; what they point to is untouched if the option is not given. An
 * option is given once, but for flags and lists. */
struct command_option {
    const char *name; /* without the dashes */
    bool *flag;
    const char **value;
    struct command_list *list; /* may be given several times */
    uint64_t *number;          /* from 1, or from 0 if `zero`, to `most` */
    uint64_t most;
    bool zero;
};

/* The arguments ask for the command's help: `--help` or `-h` stands where an option may stand. */
enum { COMMAND_LINE_HELP = 1 };

/* Reads argv[1] onward. What does not begin with `--` is positional, and so is everything behind a
 * lone `--`; the argument behind `--name` is its value, whatever it looks like. There are 64
 * options at most. 0, COMMAND_LINE_HELP, or -EINVAL with a sentence for the user in `why`. All
 * results borrow from argv. */
int command_line_read(int argc, char **argv, const struct command_option *options, size_t count,
                      struct command_list *positionals, struct buf *why);

/* Whether `argument`, which stands where an option may stand, asks for help. */
bool command_line_is_help(const char *argument);

/* What a command does when command_line_read() does not return 0: prints `help` to standard output,
 * or `why` to standard error. `hint` is how the reader gets on: the help, or a line that names it.
 * The process's exit code. */
int command_line_end(int result, const char *command, const struct buf *why, const char *help,
                     const char *hint);
